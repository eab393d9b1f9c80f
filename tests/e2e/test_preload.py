"""Preloaded workers: forked from a template, and otherwise as every other worker."""

from __future__ import annotations

import os
import pwd
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.test_worker_environment import born_with
from tests.support.crash import kill_daemon
from tests.support.fleetd_cli import Fleetd, kill
from tests.support.ordinary_user import EveryonesFleetd
from tests.support.preload_app import PreloadApp, interpreter, new_worker, preload_app
from tests.support.process_world import PROGRAMS, alive
from tests.support.waiting import wait_for
from tests.support.worker_pools import SOON

pytestmark = pytest.mark.process

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts workers as somebody else")


@pytest.fixture
def app(short_path: Path) -> PreloadApp:
    root = short_path / "app"
    root.mkdir()
    root.chmod(0o777)
    return preload_app(root)


def template_of(fleetd: Fleetd) -> int:
    """The pid of the template that was ready last."""
    pid: int = fleetd.events("template.ready")[-1]["fields"]["pid"]
    return pid


def log_of(fleetd: Fleetd, slot: int = 0) -> str:
    return (fleetd.log_directory / f"media-{slot}.log").read_text()


def told_now(fleetd: Fleetd, app: PreloadApp, what: str) -> set[Any]:
    """What the two workers of now said of this; the words of those before may still be there."""
    return {app.told(slot, by=fleetd.pids("media")[f"media:{slot}"])[what] for slot in (0, 1)}


def test_a_worker_is_its_own_process_from_one_import(anyones: Fleetd, app: PreloadApp) -> None:
    anyones.configure({"media": app.pool(numprocs=3, env={"GPU": "{slot}"}, umask="027")})
    anyones.start()
    pids = anyones.pids("media")
    told = [app.told(slot) for slot in range(3)]
    assert [each["pid"] for each in told] == [pids[f"media:{slot}"] for slot in range(3)]
    assert app.imports() == ["1"]
    (template,) = {each["template"] for each in told}
    assert template == template_of(anyones) not in pids.values()
    (keeper,) = {each["parent"] for each in told}
    assert psutil.Process(template).ppid() == keeper
    for slot, each in enumerate(told):
        assert each["session"] == each["pid"]
        assert each["environment"]["FLEETD_WORKER"] == f"media:{slot}"
        assert each["environment"]["GPU"] == str(slot)
        assert each["environment"]["SET_BY_THE_IMPORT"] == "yes"
        assert each["environment"]["PWD"] == each["directory"] == each["path"] == str(app.releases.release("1"))
        assert "FLEETD_TEMPLATE" not in each["environment"]
        assert (each["stdin"], each["threads"], each["argv"]) == ("", 1, ["preloaded:work"])
        assert "SIG_DFL" in each["term"] or each["term"] == "0"
    assert len({each["environment"]["FLEETD_RUN"] for each in told}) == 3
    assert len({each["random"] for each in told}) == 3
    before = told[0]["template_environment"]
    assert before["FLEETD_TEMPLATE"].strip() == "media"
    assert not {"FLEETD_RUN", "FLEETD_SLOT", "FLEETD_WORKER", "NOTIFY_SOCKET", "GPU"} & before.keys()

    def written(words: str) -> int:
        return sum(log.read_text().count(words) for log in anyones.log_directory.glob("media-*.log"))

    wait_for(lambda: written("is imported") >= 1 and written("app says at work") >= 3, "all that they write")
    said = [log_of(anyones, slot).count("is imported") for slot in range(3)]
    assert sorted(said) == [0, 0, 1], "what the import wrote goes to one of the workers that waited for it"
    assert all(log_of(anyones, slot).count("app says at work") == 1 for slot in range(3))


def test_others_see_the_workers_own_command_line_and_run(fleetd: Fleetd, app: PreloadApp) -> None:
    fleetd.configure({"media": app.pool()})
    fleetd.start()
    told = app.told()
    process = psutil.Process(told["pid"])
    assert process.cmdline() == ["preloaded:work"]
    assert process.environ()["FLEETD_RUN"] == told["environment"]["FLEETD_RUN"]
    assert "preload.py" in " ".join(psutil.Process(told["template"]).cmdline())
    assert "FLEETD_RUN" not in psutil.Process(told["template"]).environ()


@pytest.mark.parametrize("user", [None, pytest.param("nobody", marks=[pytest.mark.root, as_root])])
def test_born_as_by_exec(fleetd: Fleetd, user: str | None) -> None:
    """The same program with and without preload finds the same world."""
    fleetd.directory.chmod(0o755)
    python = "/usr/bin/python3"
    if not Path(python).exists():
        pytest.skip("needs a Python that every user may run")
    if user is not None:
        fleetd = EveryonesFleetd(fleetd.directory)
    file = fleetd.directory / "worker.env"
    file.write_text("FROM_FILE=1\nBOTH=file\n")
    file.chmod(0o644)
    pool: dict[str, Any] = {
        "command": [python, str(PROGRAMS / "tells.py"), "3"], "restart": "never", "log": {"format": "raw"}, **SOON,
        "umask": "027", "nice": 5, "limits": {"nofile": 256, "core": 0}, "directory": "/tmp", "env-file": str(file),
        "env": {"BOTH": "table", "PYTHONUNBUFFERED": "1"}, "cpu-affinity": [0],
    }  # fmt: skip
    if user is not None:
        pool["user"] = user
    fleetd.configure({"media": pool})
    by_exec = born_with(fleetd)
    wait_for(lambda: fleetd.events("worker.exited"), "its exit")
    fleetd.run("stop")
    (fleetd.log_directory / "media-0.log").unlink()
    fleetd.configure({"media": {**pool, "preload": ["json", "decimal"]}})
    by_fork = born_with(fleetd)
    (exited,) = fleetd.exits(1)
    assert (exited["fields"]["code"], exited["fields"]["reason"]) == (3, "exit")
    for born in (by_exec, by_fork):
        assert born["session"] == born["group"] == born["pid"]
        for name in ("FLEETD_RUN", "NOTIFY_SOCKET"):
            assert born["environment"].pop(name)
        for name in ("pid", "session", "group"):
            del born[name]
    assert by_fork == by_exec
    if user is not None:
        assert by_fork["ids"][0] == pwd.getpwnam(user).pw_uid


def test_ends_as_any_program(fleetd: Fleetd, app: PreloadApp) -> None:
    fleetd.configure({
        "media": app.pool("crash", restart="never", env={"CRASH_AFTER": "0.3"}),
        "five": app.pool("code", restart="never", env={"EXIT_CODE": "5"}, exit_codes=[5]),
        "term": app.pool(restart="never"),
    })  # fmt: skip
    fleetd.start(code=None)
    pid = app.told()["pid"]
    os.kill(pid, signal.SIGTERM)
    exits = {event["worker"]: event["fields"] for event in fleetd.exits(3)}
    assert (exits["media:0"]["code"], exits["five:0"]["code"], exits["term:0"]["signal"]) == (1, 5, signal.SIGTERM)
    log = log_of(fleetd)
    assert "RuntimeError: on demand" in log
    assert "in crash" in log
    assert "fleetd/preload.py" not in log, "the traceback is the application's own"


def test_a_changed_release_is_imported_anew_and_a_broken_one_holds_the_rollout(fleetd: Fleetd, app: PreloadApp) -> None:
    fleetd.configure({"media": app.pool(numprocs=2)})
    fleetd.start()
    first = template_of(fleetd)

    fleetd.run("restart", "--graceful")
    assert app.imports() == ["1", "1"], "the same directory, loaded anew"
    second = template_of(fleetd)
    assert told_now(fleetd, app, "template") == {second} != {first}
    wait_for(lambda: not psutil.pid_exists(first), "the end of the template that nobody uses")

    app.releases.deploy("2")
    app.edit("2", "import logging\n", "import logging\nimport no_such_module\n")
    app.releases.switch("2")
    before = fleetd.pids("media")
    refused = fleetd.run("restart", "--graceful", code=1)
    said = refused.stdout + refused.stderr
    where = app.releases.release("2") / "preloaded.py"
    assert f"entry preloaded:work: ModuleNotFoundError: No module named 'no_such_module' ({where}, line 7)" in said
    assert fleetd.pids("media") == before
    kill(before["media:1"])
    pid = new_worker(fleetd, "media", "media:1", before["media:1"])
    assert app.told(1, by=pid)["template"] == second, "refilled from what the old release had loaded"
    assert app.imports() == ["1", "1"]

    app.releases.deploy("3")
    app.releases.switch("3")
    fleetd.run("restart", "--graceful")
    assert told_now(fleetd, app, "release") == {"3"}
    assert app.imports() == ["1", "1", "3"]


def test_a_switched_symlink_is_picked_up_at_the_next_start(fleetd: Fleetd, app: PreloadApp) -> None:
    fleetd.configure({"media": app.pool(numprocs=2)})
    fleetd.start()
    app.releases.deploy("2")
    app.releases.switch("2")
    before = fleetd.pids("media")["media:0"]
    kill(before)
    pid = new_worker(fleetd, "media", "media:0", before)
    assert (app.told(0, by=pid)["release"], app.told(1)["release"]) == ("2", "1")


def test_a_template_that_died_is_replaced(fleetd: Fleetd, app: PreloadApp) -> None:
    fleetd.configure({"media": app.pool(numprocs=2)})
    fleetd.start()
    before, template = fleetd.pids("media"), template_of(fleetd)
    kill(template)
    wait_for(lambda: fleetd.events("template.ended"), "the end of the template to be told")
    assert fleetd.events("template.ended")[0]["fields"] == {"pid": template, "how": "signal 9"}
    assert fleetd.pids("media") == before, "its workers are no children of its"
    kill(before["media:0"])
    pid = new_worker(fleetd, "media", "media:0", before["media:0"])
    assert app.told(0, by=pid)["template"] != template


LEAK = """
import pathlib, threading, time
def leak():
    while not (ROOT / "leak").exists():
        time.sleep(0.01)
    ROOT.kept = bytearray(b"x") * 150_000_000
    (ROOT / "leaked").touch()
class Root(type(ROOT)): pass
ROOT = Root(ROOT)
if "LEAKS" in os.environ:
    threading.Thread(target=leak, daemon=True).start()
"""


def test_a_template_that_leaks_is_replaced_and_threads_are_told(fleetd: Fleetd, app: PreloadApp) -> None:
    module = app.releases.release("1") / "preloaded.py"
    module.write_text(module.read_text() + LEAK)
    fleetd.configure({"media": app.pool(env={"LEAKS": "1"})})
    fleetd.start()
    (threaded,) = fleetd.events("template.threaded")
    assert (threaded["pool"], threaded["fields"]["threads"]) == ("media", 2)
    first = app.told()
    assert first["threads"] == 1
    (app.root / "leak").touch()
    wait_for((app.root / "leaked").exists, "the leak")
    (app.root / "leak").unlink()
    kill(first["pid"])
    pid = new_worker(fleetd, "media", "media:0", first["pid"])
    (leaked,) = fleetd.events("template.leaked")
    assert leaked["fields"]["pid"] == first["template"]
    assert leaked["fields"]["rss"] > leaked["fields"]["before"] + 100_000_000
    assert app.told(0, by=pid)["template"] == template_of(fleetd) != first["template"]
    wait_for(lambda: not psutil.pid_exists(first["template"]), "the end of the one that leaked")


def test_p3_the_daemon_killed(fleetd: Fleetd, app: PreloadApp) -> None:
    fleetd.configure({"media": app.pool(numprocs=2)})
    fleetd.start()
    before, template = fleetd.pids("media"), template_of(fleetd)
    kill_daemon(fleetd)
    fleetd.start()
    assert fleetd.pids("media") == before
    kill(before["media:0"])
    pid = new_worker(fleetd, "media", "media:0", before["media:0"])
    assert app.told(0, by=pid)["template"] == template
    assert app.imports() == ["1"]


def test_p3_the_keeper_killed(fleetd: Fleetd, app: PreloadApp) -> None:
    fleetd.configure({"media": app.pool(numprocs=2)})
    fleetd.start()
    before, template = fleetd.pids("media"), template_of(fleetd)
    kill(psutil.Process(template).ppid())
    wait_for(lambda: not alive(template), "the template's end")
    assert fleetd.pids("media") == before
    kill(before["media:0"])
    pid = new_worker(fleetd, "media", "media:0", before["media:0"])
    assert app.told(0, by=pid)["template"] == template_of(fleetd) != template


def test_a_template_that_still_imports_ends_with_its_keeper(fleetd: Fleetd, app: PreloadApp) -> None:
    app.edit("1", "os.environ.setdefault", '(ROOT / "hangs").touch() or time.sleep(1000)\nos.environ.setdefault')
    fleetd.configure({"media": app.pool()})
    daemon = fleetd.popen("start")
    wait_for((app.root / "hangs").exists, "the import")
    (template,) = [process for process in fleetd.processes() if "preload.py" in " ".join(process.info["cmdline"])]
    daemon.kill()
    kill(template.ppid())
    wait_for(lambda: not alive(template.pid), "the template's end")


def test_an_import_that_takes_longer_than_start_timeout(fleetd: Fleetd, app: PreloadApp) -> None:
    app.edit("1", "os.environ.setdefault", 'print("still at it", flush=True); time.sleep(1000)\nos.environ.setdefault')
    fleetd.configure({"media": app.pool(start_timeout="3s", healthy_after="100ms")})
    said = fleetd.start(code=1).stderr
    assert "was not imported within 3 s (start-timeout); its last line: still at it" in said


@pytest.mark.parametrize(
    ("change", "keys", "said"),
    [
        (("import logging\n", "import logging\nraise SystemExit('no settings')\n"), {},
         "entry preloaded:work: SystemExit: no settings ("),
        (("import random\n", "import random\nos._exit(7)\n"), {},
         "entry preloaded:work: the template ended while it was importing: exit code 7"),
        (("import logging\n", "import logging\nif:\n"), {}, "SyntaxError: invalid syntax ("),
        (None, {"entry": "preloaded:wrok"}, "entry preloaded:wrok: AttributeError: module 'preloaded' has no "),
        (None, {"entry": "preloaded:TABLE"}, "entry preloaded:TABLE: TypeError: preloaded:TABLE cannot be called"),
        (None, {"preload": ["json", "no.such"]}, "preload no.such: ModuleNotFoundError: No module named 'no' (in "),
        (None, {"python": "/no/such/python"}, "command /no/such/python: no such file or directory"),
        (None, {"python": "./no-python", "umask": "022", "nice": 1}, "command ./no-python: no such file or directory"),
        (None, {"directory": "/no/such"}, "directory /no/such: no such file or directory"),
        (None, {"env-file": "/no/such"}, "env-file /no/such: no such file or directory"),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_one_line(
    fleetd: Fleetd, app: PreloadApp, change: tuple[str, str] | None, keys: dict[str, Any], said: str
) -> None:
    if change is not None:
        app.edit("1", *change)
    fleetd.configure({"media": {**app.pool(numprocs=2), **keys}})
    told = fleetd.start(code=1).stderr
    assert said in told
    assert "Traceback" not in told


def test_a_program_that_is_no_python(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {"command": ["sleep", "1000"], "preload": ["json"], **SOON}})
    told = fleetd.start(code=1).stderr
    assert "is no Python program (it is no script): take preload out, or give a command that is" in told


def test_p1_what_a_worker_forked_is_gone_with_it(anyones: Fleetd, app: PreloadApp) -> None:
    anyones.configure({"media": app.pool("families", restart="never")})
    anyones.start()
    pid = app.told()["pid"]
    path = app.root / "orphan"
    orphan = int(wait_for(lambda: path.exists() and path.read_text(), "the orphan, for which nobody waits"))
    assert alive(orphan)
    kill(pid)
    anyones.exits(1)
    assert not alive(orphan)
    wait_for(lambda: not psutil.pid_exists(orphan), "the keeper to collect it")
    assert anyones.events("process.strayed") == []
    assert alive(template_of(anyones))


def test_check_shows_what_an_entry_pool_does(fleetd: Fleetd, app: PreloadApp) -> None:
    fleetd.configure({"media": app.pool()})
    shown = f"media: {interpreter()} -c 'import sys, preloaded; sys.exit(preloaded.work())'\n"
    assert fleetd.run("check", code=None).stdout.startswith(shown)
