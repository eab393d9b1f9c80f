"""P3: the daemon is expendable, and so is the keeper."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fleetd.errors import FleetdError
from fleetd.shell.keeper_link import KeeperLink
from fleetd.shell.processes import Processes
from tests.support.open_clone import found_in
from tests.support.ordinary_user import BECOME, UID, everyones_python
from tests.support.process_world import PROGRAMS, World, alive, eventually, with_run

NAME = f"many-{os.getpid()}"  # unlike any run of another test

pytestmark = pytest.mark.process


def test_p3_the_next_daemon_takes_over_runs_output_and_exit_codes(short_path: Path) -> None:
    async def test() -> None:
        first = World(short_path, "kept")
        first.processes.begin()
        keeper = first.processes.keeper_pid
        os.mkfifo(short_path / "go")
        os.mkfifo(short_path / "go2")
        first.spawn(
            "lives", "sh", "-c", "echo before; read line < go; echo after; exec sleep 1000", directory=str(short_path)
        )
        first.spawn("ends", "sh", "-c", "read line < go2; echo last words; exit 9", directory=str(short_path))
        first.spawn("lives2", "sleep", "1000", notify=str(short_path / "n"))
        pid, _ = await first.until("spawned", "lives2")
        await first.until_read("lives", "before")
        first.leave()

        (short_path / "go").write_text("\n")
        (short_path / "go2").write_text("\n")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"READY=1", str(short_path / "n"))

        second = World(short_path, "kept")
        assert second.processes.keeper_pid == keeper
        held = {held.run: held for held in second.processes.held}
        assert held.keys() == {"lives", "ends", "lives2"}
        assert held["lives2"].pid == pid
        assert held["lives2"].meta == "meta of lives2"
        assert held["lives2"].notify is not None
        assert os.read(held["lives2"].notify, 100) == b"READY=1"
        second.processes.begin()
        assert await second.until("exited", "ends") == (9, None)
        assert second.read("ends") == "last words\n"
        assert await second.until_read("lives", "after") == "after\n"
        assert second.processes.signal("lives", signal.SIGKILL)
        assert await second.until("exited", "lives") == (None, signal.SIGKILL)
        await second.end()

    asyncio.run(test())


DAEMON = """
import asyncio, sys
from pathlib import Path
from tests.support.process_world import World

async def main():
    world = World(Path(sys.argv[1]), "kept")
    world.processes.begin()
    for number in range(20):
        until = "until [ -e go ]; do sleep 0.1; done"  # in whose life this daemon is gone
        world.spawn(f"many-{number}", "sh", "-c", f"echo hello; {until}; echo bye; exit 5", directory=sys.argv[1])
    await world.until("spawned", "many-0")
    print("up", world.processes.keeper_pid, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


def test_p3_sigkill_of_the_daemon_in_the_middle_of_starting(short_path: Path) -> None:
    root = Path(__file__).parents[2]
    daemon = subprocess.Popen([sys.executable, "-c", DAEMON, str(short_path)], stdout=subprocess.PIPE, cwd=root)
    assert daemon.stdout is not None
    keeper = int(daemon.stdout.readline().split()[1])
    daemon.kill()
    daemon.wait()
    daemon.stdout.close()

    async def test() -> None:
        world = World(short_path, "kept")
        assert world.processes.keeper_pid == keeper
        runs = {held.run for held in world.processes.held}
        assert "many-0" in runs
        world.processes.begin()
        (short_path / "go").touch()
        for run in runs:
            assert await world.until("exited", run) == (5, None)
            assert world.read(run) == "hello\nbye\n"
        await world.end()

    asyncio.run(test())


def test_p3_the_keeper_killed(short_path: Path) -> None:
    async def test() -> None:
        world = World(short_path, "kept")
        world.processes.begin()
        keeper = world.processes.keeper_pid
        assert keeper is not None
        os.mkfifo(short_path / "go")
        world.spawn("ends", "sh", "-c", "read line < go; echo last; exit 6", directory=str(short_path))
        world.spawn("lives", str(PROGRAMS / "daemonizes.sh"))
        pid, _ = await world.until("spawned", "lives")
        orphan = int((await world.until_read("lives", "daemon")).split()[1])
        await world.until("spawned", "ends")
        os.kill(keeper, signal.SIGKILL)
        await eventually(lambda: world.processes.keeper_pid != keeper, "another keeper")
        assert alive(pid)

        (short_path / "go").write_text("\n")
        assert await world.until("exited", "ends") == (6, None)
        assert world.read("ends") == "last\n"
        world.spawn("new", "sh", "-c", "exit 4")
        assert await world.until("exited", "new") == (4, None)

        world.leave()
        world = World(short_path, "kept")
        held = {held.run: held for held in world.processes.held}
        assert held.keys() == {"ends", "lives", "new"}
        assert held["lives"].pid == pid
        assert held["lives"].foreign
        world.processes.begin()
        assert await world.processes.kill("lives") == ()
        assert await world.until("exited", "lives") == (None, signal.SIGKILL)
        assert not alive(orphan)
        await world.end()

    asyncio.run(test())


def test_the_keeper_killed_while_it_starts_many(short_path: Path) -> None:
    async def test() -> None:
        world = World(short_path, "kept")
        world.processes.begin()
        keeper = world.processes.keeper_pid
        assert keeper is not None
        for number in range(60):
            world.spawn(f"{NAME}-{number}", "sleep", "1000")
        await world.until("spawned", f"{NAME}-10")
        os.kill(keeper, signal.SIGKILL)
        for number in range(60):
            await eventually(
                lambda run=f"{NAME}-{number}": world.told_of("spawned", run) or world.told_of("spawn_failed", run),
                "an answer",
            )
        living = {told[1] for told in world.told if told[0] == "spawned"}
        assert {held.run for held in world.processes.held} == living
        failed = {told[1] for told in world.told if told[0] == "spawn_failed"}
        assert not living & failed
        assert [pid for run in failed for pid in with_run(run)] == []
        await world.end()

    asyncio.run(test())


def test_a_second_daemon_is_refused(short_path: Path) -> None:
    async def test() -> None:
        world = World(short_path, "kept")
        world.processes.begin()
        with pytest.raises(FleetdError, match="another daemon is connected"):
            Processes.open(short_path, "kept", world, KeeperLink.reach(short_path / "keeper.sock", "kept"))
        world.spawn("r1", "true")
        assert await world.until("exited", "r1") == (0, None)
        await world.end()

    asyncio.run(test())


def test_nonsense_and_terminal_signals_do_not_end_it(short_path: Path) -> None:
    async def test() -> None:
        world = World(short_path, "kept")
        keeper = world.processes.keeper_pid
        assert keeper is not None
        world.leave()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            os.kill(keeper, number)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
            stranger.connect(str(short_path / "keeper.sock"))
            for packet in (b"nonsense", b"{}", b'{"verb": "spawn"}', b'{"verb": "hold", "run": 1}', b"[]", b"\xff"):
                stranger.send(packet)
            stranger.settimeout(30)
            stranger.send(b'{"verb": "hello"}')
            assert json.loads(stranger.recv(65536))["event"] == "hello"
            stranger.send(b'{"verb": "spawn", "run": "x", "env": 1}')
            assert json.loads(stranger.recv(65536))["event"] == "spawn-failed"
            stranger.send(b'{"verb": "environ", "in_memfd": true}')  # whose memfd met EMFILE
            stranger.send(b'{"verb": "spawn", "run": "x", "env": {}, "argv": ["true"], "directory": "/"}')
            failed = json.loads(stranger.recv(65536))
            assert (failed["event"], failed["error"]["errno"]) == ("spawn-failed", errno.EMFILE)
        world = World(short_path, "kept")
        assert world.processes.keeper_pid == keeper
        world.processes.begin()
        world.spawn("r1", "true")
        assert await world.until("exited", "r1") == (0, None)
        await world.end()
        assert "request ignored" in (short_path / "keeper.log").read_text()

    asyncio.run(test())


def test_it_is_small_private_and_ends_with_its_daemon(short_path: Path) -> None:
    async def test() -> None:
        world = World(short_path, "kept")
        world.processes.begin()
        keeper = world.processes.keeper_pid
        assert keeper is not None
        assert mode_of(short_path / "keeper.sock") == 0o600
        for number in range(100):
            world.spawn(f"{NAME}-{number}", "sleep", "1000")
        for number in range(100):
            await world.until("spawned", f"{NAME}-{number}")
        status = status_of(keeper)
        print("keeper with 100 runs:", status["VmRSS"], "of it its own:", status["RssAnon"])
        assert int(status["RssAnon"].split()[0]) < 8000
        assert os.getsid(keeper) == keeper
        await world.end()

    asyncio.run(test())
    assert not (short_path / "keeper.sock").exists()


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


AS_ANOTHER_USER = """
import asyncio, os, sys
from pathlib import Path
from tests.support.process_world import PROGRAMS, World, alive

async def main():
    world = World(Path(sys.argv[1]), "kept")
    world.processes.begin()
    world.spawn("daemon", str(PROGRAMS / "daemonizes.sh"))
    pid = int((await world.until_read("daemon", "daemon")).split()[1])
    assert await world.processes.kill("daemon") == ()
    assert not alive(pid)
    world.spawn("plain", "sh", "-c", "exit 3", notify=sys.argv[1] + "/n", nice=5, umask=0o77)
    assert await world.until("exited", "plain") == (3, None)
    world.spawn("other", "true", uid=1, gid=1, groups=(1,), user="daemon")
    (error,) = await world.until("spawn_failed", "other")
    assert error == "cannot become user daemon or its groups: operation not permitted", error
    await world.end()
    print("done with cgroups" if world.processes.trees.guaranteed else "done without cgroups")

asyncio.run(main())
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv, to be another user"
)
def test_an_ordinary_user_has_all_of_it_but_other_users(short_path: Path) -> None:
    os.chown(short_path, UID, UID)
    result = subprocess.run(
        [*BECOME, everyones_python(), "-c", AS_ANOTHER_USER, str(short_path)],
        cwd="/",
        env={**os.environ, "PYTHONPATH": found_in()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.stdout == "done without cgroups\n", result.stderr
