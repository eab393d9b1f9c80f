"""Signals to the daemon, and the terminal that it was started from."""

from __future__ import annotations

import os
import signal

import pexpect
import pytest

from tests.support.crash import started_at
from tests.support.fleetd_cli import COMMAND, Fleetd, kill
from tests.support.process_world import alive
from tests.support.waiting import wait_for
from tests.support.worker_pools import SLEEPING, python, shell, stubborn

pytestmark = pytest.mark.process


def test_a_second_term_does_not_wait_for_jobs(fleetd: Fleetd) -> None:
    fleetd.configure({"media": stubborn(str(fleetd.directory), numprocs=2)})
    fleetd.start()
    pids, daemon = fleetd.pids("media"), fleetd.status()["pid"]
    kill(daemon, signal.SIGTERM)
    wait_for(lambda: fleetd.status()["state"] == "stopping", "the drain to begin")
    assert all(started_at(pid) for pid in pids.values())
    kill(daemon, signal.SIGTERM)
    wait_for(lambda: not alive(daemon), "the daemon to end at once")
    assert not any(started_at(pid) for pid in pids.values())
    fleetd.leaves_nothing()


def test_a_second_stop_command_joins_the_first_one(fleetd: Fleetd) -> None:
    """Only a second signal, or --now, gives up waiting for jobs."""
    fleetd.configure({"media": stubborn(str(fleetd.directory))})
    fleetd.start()
    (pid,) = fleetd.pids("media").values()
    first, second = fleetd.popen("stop"), fleetd.popen("stop", "--timeout", "5800ms")
    second.communicate(timeout=20)
    assert second.returncode == 5
    assert started_at(pid), "a job in hand is left alone"
    (fleetd.directory / "leave").touch()
    first.communicate(timeout=20)
    assert first.returncode == 0


def test_usr1_reopens_logs_that_were_moved_away(fleetd: Fleetd) -> None:
    ticking = shell("i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done", log={"format": "raw"})
    fleetd.configure({"media": ticking, "more": {**ticking, "log": {"format": "prefix"}}})
    fleetd.start()
    logs = {name: fleetd.log_directory / f"{name}-0.log" for name in ("media", "more")}
    moved = {name: log.with_suffix(".moved") for name, log in logs.items()}
    for name, log in logs.items():
        wait_for(lambda log=log: log.exists() and log.stat().st_size > 300, "some lines")
        log.rename(moved[name])
    kill(fleetd.status()["pid"], signal.SIGUSR1)
    for log in logs.values():
        wait_for(lambda log=log: log.exists() and log.stat().st_size > 300, "the new file")
    fleetd.run("stop")
    for name, log in logs.items():
        lines = (moved[name].read_text() + log.read_text()).splitlines()
        numbers = [int(line.split()[-1]) for line in lines]
        assert numbers == list(range(1, len(numbers) + 1)), f"{name}: each line once, in order"


def test_ctrl_c_on_the_terminal_of_a_foreground_daemon_does_not_reach_workers(fleetd: Fleetd) -> None:
    """A job in hand would be interrupted: the daemon alone gets it, and drains."""
    program = """
import signal, time
from fleetd import worker
signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
worker.handle_stop()
with worker.job("long"):
    while not worker.stopping:
        time.sleep(0.02)
    time.sleep(0.5)
print("finished", flush=True)
"""
    fleetd.configure({"media": python(program)})
    daemon = pexpect.spawn(
        str(COMMAND), ["start", "-c", str(fleetd.file)],
        env={"PATH": os.environ["PATH"], "TERM": "xterm", **fleetd._environment()},  # type: ignore[arg-type]
        timeout=30, encoding="utf-8",
    )  # fmt: skip
    wait_for(lambda: fleetd.run("health", "--ready", code=None).returncode == 0, "the worker to be healthy")
    wait_for(lambda: fleetd.pool("media")["workers"][0]["busy"], "the job in hand")
    log = fleetd.log_directory / "media-0.log"
    daemon.sendintr()
    daemon.expect(pexpect.EOF)
    daemon.close()
    assert (daemon.exitstatus, daemon.signalstatus) == (0, None)
    assert log.read_text().split()[-1] == "finished"
    assert "interrupted" not in log.read_text()


def test_the_end_of_the_terminal_does_not_end_a_detached_daemon(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    shell_session = pexpect.spawn("sh", env=fleetd._environment(), timeout=30, encoding="utf-8")  # type: ignore[arg-type]
    shell_session.sendline(f"{COMMAND} start -c {fleetd.file} --detach; echo code $?")
    shell_session.expect("code 0")
    pids = fleetd.pids("media")
    shell_session.close(force=True)
    assert fleetd.pids("media") == pids
