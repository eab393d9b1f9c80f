"""Every exit code of the contract, each by a real command.

Exit code 4 is not among them: it tells of a Redis or broker out of reach, and this version speaks to none.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pexpect
import pytest

from tests.support.fleetd_cli import COMMAND, Fleetd
from tests.support.waiting import wait_for
from tests.support.worker_pools import SLEEPING, failing, ready_shell, stubborn

pytestmark = pytest.mark.process

DAEMON_VERBS = ["status", "stop", "restart", "pause", "resume", "reload", "logs", "events", "health"]


def leave(directory: Path, *pids: int) -> None:
    for pid in pids:
        (directory / f"leave-{pid}").touch()


def run_without_a_file(fleetd: Fleetd, verb: str, *, code: int) -> str:
    command = [word for word in fleetd._command([verb]) if word not in {"-c", str(fleetd.file)}]
    done = subprocess.run(command, env=fleetd._environment(), capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


# -- 0 -----------------------------------------------------------------------------------------------------------------


def test_0_already_so_is_success(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 2}})
    fleetd.start()
    pids = fleetd.pids("media")
    for command in (["start", "media"], ["resume"], ["scale", "media=2"], ["reload"]):
        fleetd.run(*command)
    assert fleetd.pids("media") == pids, "nothing was to be done"
    for command in (["stop", "media:1"], ["stop", "media"], ["pause", "media"]):
        fleetd.run(*command)
        fleetd.run(*command)
    assert fleetd.pool("media")["state"] == "stopped"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_0_start_that_was_ended_by_a_signal_after_a_full_drain(fleetd: Fleetd, let_go: Path, number: int) -> None:
    fleetd.configure({"media": stubborn(str(let_go))})
    daemon = fleetd.popen("start")
    wait_for(lambda: fleetd.run("health", "--ready", code=None).returncode == 0, "the worker to be healthy")
    (pid,) = fleetd.pids("media").values()
    daemon.send_signal(number)
    wait_for(lambda: fleetd.pool("media")["workers"][0]["state"] == "stopping", "the drain to begin")
    assert daemon.poll() is None, "a job in hand is waited for"
    leave(let_go, pid)
    output, _ = daemon.communicate(timeout=20)
    assert daemon.returncode == 0, output


def test_0_start_waits_for_what_it_started(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**SLEEPING, "healthy-after": "700ms", "autostart": False}})
    fleetd.start()
    assert fleetd.pool("media")["state"] == "stopped"
    fleetd.run("start", "media")
    assert [worker["healthy"] for worker in fleetd.pool("media")["workers"]] == [True]


# -- 1 -----------------------------------------------------------------------------------------------------------------


def test_1_a_second_start_of_an_instance(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    before = fleetd.status()
    for arguments in (["start"], ["start", "--detach"]):
        said = fleetd.run(*arguments, code=1).stderr
        assert f"fleetd start: instance 'test' is running already (pid {before['pid']})" in said
    assert fleetd.status()["pools"][0]["workers"][0]["pid"] == before["pools"][0]["workers"][0]["pid"]


def test_1_a_broken_release(fleetd: Fleetd) -> None:
    script = fleetd.directory / "worker.sh"
    script.write_text("echo ready; exec sleep 1000")
    fleetd.configure({"media": ready_shell(f". {script}", numprocs=3)})
    fleetd.start()
    pids = fleetd.pids("media")
    script.write_text("echo the settings are missing >&2; exit 7")
    said = fleetd.run("restart", "--graceful", code=1).stderr
    assert "the settings are missing" in said
    assert "code 7" in said
    assert fleetd.pids("media") == pids


def test_1_a_worker_that_does_not_come_up(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING, "bad": failing("echo no luck; exit 3", backoff={"first": "50ms"})})
    assert "no luck" in fleetd.start(code=1).stderr
    wait_for(lambda: fleetd.run("health", code=None).returncode == 1, "the crash loop to count as unhealthy")
    fleetd.run("health", "media")


# -- 2 -----------------------------------------------------------------------------------------------------------------


WRONG = [
    *("status --nonsense", "scale", "scale media", "scale media=many", "scale media=-9", "signal NOPE media"),
    *("restart --now --graceful", "logs --since yesterday"),
]


def test_2_a_wrong_call(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    for verb, *arguments in map(str.split, WRONG):
        said = fleetd.run(verb, *arguments, code=2)
        assert said.stderr.startswith(f"fleetd {verb}: ")
        assert said.stdout == ""


def test_2_an_invalid_file(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": -1}})
    for arguments in (["start"], ["start", "--detach"], ["check"]):
        fleetd.run(*arguments, code=2)


@pytest.mark.parametrize("verb", ["import", "lock", "dashboard"])
def test_2_what_is_not_yet_in_this_version(verb: str) -> None:
    done = pexpect.run(f"{COMMAND} {verb}", withexitstatus=True, encoding="utf-8")
    assert done == (f"fleetd {verb}: not yet in this version\r\n", 2)


def test_2_several_daemons_and_none_named(ordinary: Fleetd) -> None:
    """The daemons are found in the caller's own runtime directory."""
    runtime = ordinary.directory / "xdg"
    runtime.mkdir(mode=0o700)
    owner = ordinary.directory.stat()
    os.chown(runtime, owner.st_uid, owner.st_gid)
    ordinary.environment |= {"XDG_RUNTIME_DIR": str(runtime), "XDG_STATE_HOME": str(ordinary.directory / "state")}
    toml = '[pool.media]\ncommand = "sleep 1000"\nhealthy-after = "100ms"\n'
    others = [type(ordinary)(ordinary.directory, name, ordinary.environment) for name in ("one", "two")]
    for other in others:
        other.file.write_text(toml)
        other.start()
    try:
        said = run_without_a_file(others[0], "status", code=2)
        assert "one" in said
        assert "two" in said
        others[0].run("stop")
        assert run_without_a_file(others[1], "status", code=0).startswith("NAME")
    finally:
        for other in others:
            other.run("stop", code=None)


# -- 3 -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", DAEMON_VERBS)
def test_3_no_such_daemon(fleetd: Fleetd, verb: str) -> None:
    fleetd.configure({"media": SLEEPING})
    said = fleetd.run(verb, code=3).stderr
    assert re.fullmatch(rf"fleetd {verb}: no daemon of instance 'test' .*\n", said)


def test_3_no_such_pool_or_worker(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    verbs = ["start", "stop", "restart", "pause", "resume", "logs", "status", "health"]
    commands = [*([verb, "nope"] for verb in verbs), ["stop", "media:1"], ["restart", "n*"]]
    for command in [*commands, ["signal", "USR1", "nope"], ["scale", "nope=2"]]:
        said = fleetd.run(*command, code=3).stderr
        assert said.count("\n") == 1, said
        assert said.startswith(f"fleetd {command[0]}: ")


# -- 5 -----------------------------------------------------------------------------------------------------------------


def test_5_the_time_to_wait_ran_out_and_stragglers_are_named(fleetd: Fleetd, let_go: Path) -> None:
    fleetd.configure({"media": stubborn(str(let_go), numprocs=2)})
    fleetd.start()
    old = fleetd.pids("media")
    said = fleetd.run("restart", "--timeout", "2s", code=5).stderr
    assert said.count("\n") == 1
    for name, pid in old.items():
        assert f"{name} (pid {pid}, " in said
    leave(let_go, *old.values())
    wait_for(lambda: fleetd.events("rollout.done"), "the work itself to go on to its end")
    assert len(fleetd.pids("media")) == 2
    assert not set(fleetd.pids("media").values()) & set(old.values())


@pytest.mark.parametrize("verb", ["stop", "reload", "start", "resume"])
def test_5_of_other_commands_that_wait(fleetd: Fleetd, let_go: Path, verb: str) -> None:
    fleetd.configure({"media": stubborn(str(let_go))})
    fleetd.start()
    if verb == "reload":
        fleetd.configure({"media": stubborn(str(let_go), env={"NEW": "1"})})
    elif verb in {"start", "resume"}:
        fleetd.configure({"media": stubborn(str(let_go)), "slow": {**SLEEPING, "healthy-after": "50s"}})
        fleetd.run("reload", "--no-wait")
    said = fleetd.run(verb, *([] if verb == "reload" else ["slow" if verb in {"start", "resume"} else "media"]),
                      "--timeout", "500ms", code=5).stderr  # fmt: skip
    assert "the work itself goes on" in said


# -- 130 ---------------------------------------------------------------------------------------------------------------


def test_130_ctrl_c_of_a_waiting_restart_while_the_work_goes_on(fleetd: Fleetd, let_go: Path) -> None:
    fleetd.configure({"media": stubborn(str(let_go))})
    fleetd.start()
    (old,) = fleetd.pids("media").values()
    restart = pexpect.spawn(
        str(COMMAND), ["restart", "-c", str(fleetd.file)], env={"PATH": os.environ["PATH"], "TERM": "xterm"},  # type: ignore[arg-type]
        timeout=30, encoding="utf-8",
    )  # fmt: skip
    wait_for(lambda: len(fleetd.pool("media")["workers"]) == 2, "the replacement beside the draining worker")
    restart.sendintr()
    restart.expect("interrupted; the work itself goes on")
    restart.expect(pexpect.EOF)
    restart.close()
    assert (restart.exitstatus, restart.signalstatus) == (130, None)
    leave(let_go, old)
    wait_for(lambda: fleetd.events("rollout.done"), "the rollout to be done without its requester")


# -- restart --now -----------------------------------------------------------------------------------------------------


def test_restart_now_waits_for_no_job(fleetd: Fleetd, let_go: Path) -> None:
    fleetd.configure({"media": stubborn(str(let_go), numprocs=2)})
    fleetd.start()
    old = fleetd.pids("media")
    began = time.monotonic()
    fleetd.run("restart", "--now")
    assert 5 <= time.monotonic() - began < 30, "they are given 5 s, and not their stop-timeout of a minute"
    new = fleetd.pids("media")
    assert len(new) == 2
    assert not set(new.values()) & set(old.values())
    exits = fleetd.events("worker.exited")
    assert {(e["fields"]["reason"], e["fields"]["signal"]) for e in exits} == {("restart", 9)}
