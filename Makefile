# make run          a pool file at work on real jobs, in the foreground; Ctrl-C ends it
# make test         all tests (what the machine lacks is skipped with a reason; in CI it fails)
# make test-full    only the slow combinations, which make test leaves out; what they need is installed alike
# make field        the table of docs/frameworks-tested.md, from a run; make field FIELD="laravel rq"
# make bench        fleetd beside other supervisors, 20 minutes; make bench BENCH="--only start,stop --workers 100"
# make bench-quick  fleetd beside a floor in C, about a minute; fails when a line is lost or a figure far off
# make bench-scale  a fleet of 500 members on one Redis, 10 minutes; make bench-scale BENCH="--members 100"
# make soak         the daemon killed 1,000 times under load, the keeper, both, and upgrades, 1 to 2 hours; make soak SOAK="--kill keeper"
# make lint         format, style, layers, types
# make docs         the generated reference pages
# make screenshots  docs/images: the live view of three hosts with real jobs, two minutes
# make clean        everything that these made

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test test-full field bench bench-quick bench-scale soak lint format docs screenshots clean

run: .venv/.quickstart
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash configs/quickstart/run.sh

test: .venv/.test
	@bash .ci/services.sh
	$(BIN)/python -m pytest --numprocesses 3 --dist worksteal -m "not full" $(PYTEST_ARGS)

test-full: .venv/.test
	@FULL=true bash .ci/services.sh
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m full $(PYTEST_ARGS)

field: .venv/.test
	@FULL=true bash .ci/services.sh
	$(BIN)/python -m tests.field --write $(FIELD)

bench: .venv/.test
	$(BIN)/python -m tests.bench $(BENCH)

bench-quick: .venv/.test
	$(BIN)/python -m tests.bench --quick

bench-scale: .venv/.test
	$(BIN)/python -m tests.bench.fleet_scale $(BENCH)

soak: .venv/.test
	$(BIN)/python -m tests.soak --kill all $(SOAK)

lint: .venv/.test .venv/.lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

format: .venv/.lint
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/.test
	$(BIN)/python docs/generate.py

screenshots: .venv/.test
	$(BIN)/python -m docs.screenshots

clean:
	rm -rf .venv .run .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp for each group of dependencies: it is older than pyproject.toml when that must be installed anew.
.venv/.%: pyproject.toml | .venv/bin/python
	@echo "installing fleetd and its '$*' dependencies into .venv"
	@$(PIP) install --editable . --group $*
	@$(BIN)/python -m compileall -q fleetd # as pip does where fleetd is installed, so that no first start is slower
	@touch $@

.PRECIOUS: .venv/.%

.venv/bin/python:
	@PYTHON="$(PYTHON)" bash .ci/venv.sh
