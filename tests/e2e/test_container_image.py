"""configs/docker at work: fleetd as PID 1 of a container that is as locked up as clusters lock theirs up."""

from __future__ import annotations

import json
import signal
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import tomli_w

from tests.support.container import Container, check_collected, container, may_make_containers, status_of
from tests.support.dockerfile import DOCKER, instruction
from tests.support.waiting import wait_for
from tests.support.worker_pools import SLEEPING, shell

GRACEFUL = shell("trap 'echo drained; exit 0' TERM; echo here; while :; do sleep 0.05; done")
DEAF = shell("trap '' TERM; while :; do sleep 0.05; done", stop_timeout="60s")

pytestmark = [
    pytest.mark.process,
    pytest.mark.root,
    pytest.mark.skipif(not may_make_containers(), reason="namespaces are not permitted here"),
]


@pytest.fixture
def image(short_path: Path) -> Callable[..., Path]:
    """Writes the pool file: the shipped one's tables with other pools."""
    short_path.chmod(0o755)

    def write(**pools: Any) -> Path:
        shipped = tomllib.loads((DOCKER / "app.toml").read_text())
        file = short_path / "app.toml"
        file.write_text(tomli_w.dumps({**shipped, "pool": pools}))
        return file

    return write


def lines(made: Container, worker: str) -> list[str]:
    """What a worker has said on the container's standard output."""
    said = [json.loads(line) for line in made.said().splitlines() if line.startswith("{")]
    return [line["line"] for line in said if line.get("worker") == worker and "line" in line]


def test_any_user_without_a_home_on_a_read_only_root(image: Callable[..., Path], short_path: Path) -> None:
    file = image(app=GRACEFUL, nosy=shell("touch /nope; id -u; env; echo that is all; sleep 1000"))
    entry = [*instruction("ENTRYPOINT")[1:], "-c", str(file)]
    with container(short_path / "out", *entry) as made:
        made.wait_until_ready()
        check = made.run(*instruction("HEALTHCHECK")[1:])
        assert (check.returncode, check.stdout) == (0, "healthy\n")
        wait_for(lambda: "here" in lines(made, "app:0"), "the worker's line on the container's output")
        wait_for(lambda: "that is all" in lines(made, "nosy:0"), "what the other one sees")
        assert any("Read-only file system" in line for line in lines(made, "nosy:0"))
        assert any(line.startswith("PATH=") for line in lines(made, "nosy:0"))
        assert not any(line.startswith("HOME=") for line in lines(made, "nosy:0"))
        made.first.send_signal(signal.SIGTERM)
        assert made.outside.wait(20) == 0
        assert lines(made, "app:0") == ["here", "drained"]


def test_a_second_term_does_not_wait(image: Callable[..., Path], short_path: Path) -> None:
    with container(short_path / "out", "start", "-c", str(image(app=DEAF))) as made:
        made.wait_until_ready()
        made.first.send_signal(signal.SIGTERM)
        wait_for(lambda: "stopping" in made.run("status", "--json").stdout, "the drain")
        ready, alive = made.run("health", "--ready"), made.run("health", "--alive")
        assert (ready.returncode, ready.stderr) == (1, "the daemon is stopping\n")
        assert alive.returncode == 0, "a container that drains must not be taken for dead"
        made.first.send_signal(signal.SIGTERM)
        assert made.outside.wait(20) == 0


def test_workers_that_crash_are_no_reason_to_restart_the_container(
    image: Callable[..., Path], short_path: Path
) -> None:
    broken = {**shell("exit 1"), "backoff": {"first": "10ms", "max": "10ms"}}
    with container(short_path / "out", "start", "-c", str(image(app=GRACEFUL, broken=broken))) as made:
        wait_for(lambda: made.run("health").returncode == 1, "the crash loop to be seen")
        assert made.run("health", "--alive").returncode == 0


def test_the_keeper_is_killed(image: Callable[..., Path], short_path: Path) -> None:
    """Its children are PID 1's then: they are supervised as before, and collected when they end."""
    orphaning = shell("while :; do (setsid sh -c 'sleep 0.1' &); sleep 0.05; done")
    with container(short_path / "out", "start", "-c", str(image(app=GRACEFUL, orphaning=orphaning))) as made:
        made.wait_until_ready()
        before = worker_pids(made)
        (keeper,) = [child for child in made.first.children() if "keeper" in " ".join(child.cmdline())]
        keeper.kill()
        wait_for(lambda: status_of(keeper) in {"gone", psutil.STATUS_ZOMBIE}, "the keeper to be gone")
        assert worker_pids(made) == before
        check_collected(made.zombies, seconds=1.5)
        made.kill(signal.SIGKILL, before["app:0"])
        wait_for(lambda: worker_pids(made).get("app:0") not in {None, before["app:0"]}, "a successor")
        made.first.send_signal(signal.SIGTERM)
        assert made.outside.wait(20) == 0


def worker_pids(made: Container) -> dict[str, int]:
    status = json.loads(made.run("status", "--json").stdout)
    return {worker["name"]: worker["pid"] for pool in status["pools"] for worker in pool["workers"]}


def test_signals_that_nobody_expects_end_nothing(image: Callable[..., Path], short_path: Path) -> None:
    with container(short_path / "out", "start", "-c", str(image(app=GRACEFUL))) as made:
        made.wait_until_ready()
        pids = worker_pids(made)
        for number in (signal.SIGQUIT, signal.SIGUSR2, signal.SIGALRM, signal.SIGPIPE, signal.SIGKILL):
            made.kill(number)
        made.kill(signal.SIGHUP)
        wait_for(lambda: "reload: app: unchanged" in made.said(), "the reload")
        assert worker_pids(made) == pids


def test_below_an_init(image: Callable[..., Path], short_path: Path) -> None:
    """As `docker run --init`, tini or a shell script in front of it."""
    init = ["sh", "-c", 'trap "kill -TERM $!" TERM; "$@" & trap "kill -TERM $!" TERM; wait; wait $!', "init"]
    with container(short_path / "out", "start", "-c", str(image(app=GRACEFUL)), init=init) as made:
        made.wait_until_ready()
        assert json.loads(made.run("status", "--json").stdout)["pid"] != 1
        made.first.send_signal(signal.SIGTERM)
        assert made.outside.wait(20) == 0
        assert lines(made, "app:0") == ["here", "drained"]


def test_what_cannot_work_ends_the_container_with_a_reason(image: Callable[..., Path], short_path: Path) -> None:
    file = image(app={**SLEEPING, "comand": "x"})
    with container(short_path / "wrong", "start", "-c", str(file)) as made:
        assert made.outside.wait(20) == 2
        assert "comand" in made.said()
    file.write_text('[pool.app]\ncommand = ["sleep", "1000"]\n')
    with container(short_path / "homeless", "start", "-c", str(file)) as made:
        assert made.outside.wait(20) == 1
        assert "name state-directory and log-directory in [daemon]" in made.said()
        assert "Traceback" not in made.said()
    file.write_text('[daemon]\nruntime-directory = "/srv/run"\nstate-directory = "/run/s"\nlog-directory = "/run/l"\n')
    with container(short_path / "read-only", "start", "-c", str(file)) as made:
        assert made.outside.wait(20) == 1
        assert "cannot make /srv/run: Read-only file system; name another directory in [daemon]" in made.said()
