"""`preload`, `entry` and `python`: which pools may have them, and what becomes of the command line."""

from __future__ import annotations

import pytest

from fleetd.config.lint import lint
from fleetd.core.spec import Launch, PoolSpec
from tests.config.test_generated import NobodyHost
from tests.support.pool_files import load_text


def pool_of(keys: str, before: str = "") -> PoolSpec:
    loaded = load_text(f"{before}[pool.media]\n{keys}")
    assert [*loaded.problems, *loaded.not_yet] == []
    assert loaded.spec is not None
    return loaded.spec.pools["media"]


def test_an_entry_needs_no_command_and_shows_one_that_does_the_same() -> None:
    launch = pool_of('entry = "jobs.media:Worker.main"\n').launch
    assert (launch.command, launch.entry, launch.preload, launch.is_preloaded) == (
        (), "jobs.media:Worker.main", (), True,
    )  # fmt: skip
    call = "import sys, jobs.media; sys.exit(jobs.media.Worker.main())"
    assert launch.shown_command == ("python3", "-c", call)
    own = pool_of('entry = "jobs:main"\npython = ".venv/bin/python"\n').launch
    assert (own.python, own.shown_command[0]) == (".venv/bin/python", ".venv/bin/python")


def test_a_pool_is_not_preloaded_unless_it_says_so() -> None:
    assert not Launch(("worker",)).is_preloaded
    assert not pool_of('command = ["worker"]\npreload = []\n').launch.is_preloaded


PROGRAMS = [
    'framework = "rq"',
    'framework = "celery"',
    'framework = "dramatiq"',
    'command = ["python3", "work.py"]',
    'framework = "laravel"\ncommand = ["work.py"]',
]


@pytest.mark.parametrize("keys", PROGRAMS)
def test_python_programs_may_be_preloaded(keys: str) -> None:
    pool = pool_of(f'{keys}\npreload = ["jobs", "jobs.media"]\n')
    assert pool.launch.preload == ("jobs", "jobs.media")
    assert pool.launch.command


def test_an_entry_has_none_of_its_frameworks_flags() -> None:
    assert pool_of('framework = "rq"\nmax-jobs = 5\n').counts_own_jobs
    entry = pool_of('framework = "rq"\nmax-jobs = 5\nentry = "jobs:main"\n')
    assert (entry.counts_own_jobs, entry.launch.command) == (False, ())


@pytest.mark.parametrize(("before", "framework"), [("", "laravel"), ('[framework.mine]\ncommand = ["run"]\n', "mine")])
def test_other_programs_may_not(before: str, framework: str) -> None:
    loaded = load_text(f'{before}[pool.media]\nframework = "{framework}"\npreload = ["jobs"]\n')
    (problem,) = loaded.problems
    assert problem.key == "pool.media.preload"
    assert f"nothing says that the framework {framework} is one" in problem.message
    assert "python = true" in problem.remedy


def test_a_framework_of_ones_own_says_that_it_is_python() -> None:
    own = '[framework.mine]\ncommand = ["run"]\npython = true\n'
    assert pool_of('framework = "mine"\npreload = ["jobs"]\n', own).launch.preload == ("jobs",)


def test_entry_and_command_exclude_each_other() -> None:
    (problem,) = load_text('[pool.media]\nentry = "jobs:main"\ncommand = ["worker"]\n').problems
    assert (problem.key, problem.message) == ("pool.media.entry", "a pool has an entry or a command, not both")


def test_an_interpreter_for_nothing_is_told() -> None:
    loaded = load_text('[pool.media]\ncommand = ["worker"]\npython = "python3"\n')
    (finding,) = lint(loaded, NobodyHost())
    assert "does nothing without preload or entry" in str(finding)
