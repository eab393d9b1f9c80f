"""What fleetd calls well, and what it refuses to pretend."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from fleetd.cli.commands import COMMANDS, parser_of
from fleetd.client import control
from fleetd.errors import FleetdError, WaitTimeoutError
from tests.support.fleetd_cli import Fleetd
from tests.support.waiting import wait_for
from tests.support.worker_pools import SLEEPING, python, shell, stubborn

pytestmark = pytest.mark.process

ONE_JOB = """
import time
from fleetd import worker
with worker.job("short"):
    time.sleep(0.05)
"""
ASKS_FOR_MORE = """
import os, signal, socket, time
def ask(*_):
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.sendto(b"EXTEND_TIMEOUT_USEC=60000000", os.environ["NOTIFY_SOCKET"])
signal.signal(signal.SIGTERM, ask)
print("listening", flush=True)
while True:
    time.sleep(1)
"""


def test_a_pool_of_one_job_workers_is_running_and_ready(fleetd: Fleetd) -> None:
    fleetd.configure({"short": python(ONE_JOB, max_jobs=1)})
    fleetd.start()
    wait_for(lambda: fleetd.pool("short")["jobs"]["done"] > 5, "some jobs to be done")

    for _ in range(10):
        assert fleetd.pool("short")["state"] == "running"
        fleetd.run("health", "--ready")


def test_a_worker_that_failed_for_good_makes_its_pool_degraded_and_unhealthy(fleetd: Fleetd) -> None:
    fleetd.configure({"once": shell("exit 3", restart="never")})
    fleetd.start(code=1)

    assert fleetd.pool("once")["state"] == "degraded"
    fleetd.run("health", code=1)
    assert fleetd.run("health", "--alive").stdout == "healthy\n", "the daemon answers"


def test_a_pool_whose_workers_are_done_for_good_is_stopped(fleetd: Fleetd) -> None:
    fleetd.configure({"once": shell("exit 0", restart="on-failure")})
    fleetd.run("start", "--detach", "--no-wait")

    wait_for(lambda: fleetd.pool("once")["state"] == "stopped", "the pool to be stopped")
    fleetd.run("health")


def test_a_scale_beyond_reason_is_refused(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    fleetd.start()

    refused = fleetd.run("scale", "media=99999", code=2)

    assert refused.stderr.strip() == "fleetd scale: media: cannot be scaled to 99999: a pool has 0 to 10000 workers"
    assert fleetd.pool("media")["numprocs"] == 1


@pytest.mark.parametrize(
    "command", [["start", "media"], ["restart"], ["scale", "media=3"], ["pause"], ["resume"], ["reload"]]
)
def test_a_daemon_that_drains_does_not_pretend_to_obey(fleetd: Fleetd, short_path: Path, command: list[str]) -> None:
    fleetd.configure({"media": stubborn(str(short_path))})
    fleetd.start()
    fleetd.run("stop", "--timeout", "100ms", code=5)

    refused = fleetd.run(*command, code=1)

    assert "the daemon is stopping: nothing was done" in refused.stderr
    fleetd.run("health", "--ready", code=1)
    (short_path / "leave").touch()
    wait_for(lambda: not fleetd.processes(), "the daemon to end")


def test_now_is_not_put_off_by_the_worker(fleetd: Fleetd) -> None:
    fleetd.configure({"media": python(ASKS_FOR_MORE, stop_timeout="50s")})
    fleetd.start()
    wait_for(lambda: "listening" in fleetd.run("logs").stdout, "it to heed the signal in its way")

    fleetd.run("stop", "media", "--now", timeout=40)

    assert [gone["fields"]["signal"] for gone in fleetd.exits(1)] == [9]


def test_a_stop_ends_its_wait_when_somebody_starts_again(fleetd: Fleetd, short_path: Path) -> None:
    fleetd.configure({"media": stubborn(str(short_path))})
    fleetd.start()
    stopping = fleetd.popen("stop", "media")
    wait_for(lambda: fleetd.pool("media")["state"] == "stopping", "the pool to drain")

    fleetd.run("start", "media", "--no-wait")

    assert stopping.wait(timeout=30) == 1
    assert stopping.stdout is not None
    assert "media:0: started again meanwhile" in stopping.stdout.read()
    (short_path / "leave").touch()


def test_a_reload_tells_its_plan_though_a_new_pool_does_not_come_up(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    fleetd.configure({"media": SLEEPING, "bad": {"command": ["/nonexistent/worker"]}})

    reloaded = fleetd.run("reload", code=1)

    assert "media: unchanged" in reloaded.stdout
    assert "bad: added" in reloaded.stdout
    assert "bad:0: command /nonexistent/worker: no such file or directory" in reloaded.stderr


def test_a_start_names_every_pool_that_does_not_come_up(fleetd: Fleetd) -> None:
    fleetd.configure({"a": {"command": ["/nonexistent/a"]}, "b": {"command": ["/nonexistent/b"]}, "c": SLEEPING})

    failed = fleetd.start(code=1)

    assert "/nonexistent/a" in failed.stderr
    assert "/nonexistent/b" in failed.stderr
    assert json.loads(fleetd.run("status", "--json", "c").stdout)["pools"][0]["state"] == "running"


@pytest.mark.parametrize("crowded", [False, True])
def test_a_daemon_that_hangs_is_not_waited_for(
    fleetd: Fleetd, monkeypatch: pytest.MonkeyPatch, *, crowded: bool
) -> None:
    """Also where as many callers stand in line as may."""
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    monkeypatch.setattr(control, "ANSWER_SECONDS", 0.5)
    told = r"^the daemon of instance 'test' does not answer within 0\.5 s"
    late = r"^the daemon (of instance 'test' does not answer|takes no connection) within 0\.[45] s"
    asked = (
        "scale media=3",
        "pause media",
        "resume media",
        "signal USR1 media",
        "restart --local",
        "start media",
        "reload",
    )
    pid, before = fleetd.status()["pid"], fleetd.pids("media")
    with ExitStack() as stack:
        os.kill(pid, signal.SIGSTOP)
        stack.callback(os.kill, pid, signal.SIGCONT)
        if crowded:
            _stand_in_line(fleetd.control.path, stack)
        for line in ("health", "health --alive", "status --json", "logs", "events", "upgrade", *asked):
            with pytest.raises(WaitTimeoutError, match=told):
                _carry_out(fleetd, line)
        for line in ("stop --timeout 400ms", "stop media --timeout 400ms", "reload --timeout 400ms"):
            with pytest.raises(WaitTimeoutError, match=late):
                _carry_out(fleetd, line)
    wait_for(lambda: _answers(fleetd), "those that stood in line to have left")
    assert fleetd.pids("media") == before, "it did what had been given up"


def _answers(fleetd: Fleetd) -> bool:
    with suppress(FleetdError):
        return fleetd.control.call("ping", timeout=10) is not None
    return False


def _stand_in_line(path: Path, stack: ExitStack) -> None:
    with suppress(BlockingIOError):
        while True:
            caller = stack.enter_context(socket.socket(socket.AF_UNIX))
            caller.settimeout(0)
            caller.connect(str(path))


def _carry_out(fleetd: Fleetd, line: str) -> int:
    name, *rest = line.split()
    return COMMANDS[name].load().run(parser_of(name).parse_intermixed_args([*rest, "-c", str(fleetd.file)]))


def test_usr1_opens_the_log_of_a_detached_daemon_anew(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    log = fleetd.log_directory / "fleetd.log"
    log.rename(log.with_suffix(".old"))

    fleetd.run("stop", "media")

    os.kill(fleetd.status()["pid"], signal.SIGUSR1)
    wait_for(log.exists, "the log to be opened anew")
    fleetd.run("start", "media")

    wait_for(lambda: "started by an operator" in log.read_text(), "the new log to be written")
