"""How a worker is born: what it finds, and what is said when it cannot be."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import resource
import shutil
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.support.process_world import PROGRAMS, PYTHON, World, eventually, open_descriptors

pytestmark = pytest.mark.process

TELLS = (
    shutil.which("python3", path="/usr/bin:/usr/local/bin") or PYTHON,
    "-S",
    str(PROGRAMS / "tells.py"),
)  # one that other users may run
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes of other users")
NOBODY = 65534
ENV_FILE = r"""
# comment
export A=1
B = two words # comment
C='$x "y" \n'
D="a\n\"b\"" # c
E=
F=a#b
WINS=file
"""


def in_world(folder: Path, test: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        world = World(folder, "born")
        world.processes.begin()
        try:
            await test(world)
        finally:
            await world.end()

    asyncio.run(run())


async def what_it_tells(world: World, **more: Any) -> dict[str, Any]:
    world.spawn("r1", *TELLS, **more)
    assert await world.until("exited", "r1") == (0, None)
    first, *rest = world.output["r1"].decode().splitlines()
    assert rest == ["reopened", "to stderr"]
    told: dict[str, Any] = json.loads(first)
    return told


@pytest.mark.parametrize("more", [{}, {"nice": 0}], ids=["vfork", "fork"])
def test_a_worker_starts_clean(short_path: Path, more: dict[str, Any]) -> None:
    async def test(world: World) -> None:
        release = short_path / "release"
        release.mkdir()
        (short_path / "current").symlink_to(release)
        soft, hard = world.processes._soft_nofile, world.processes._hard_nofile
        told = await what_it_tells(world, directory=str(short_path / "current"), umask=0o027, **more)
        spawned = await world.until("spawned", "r1")
        assert told["pid"] == told["session"] == told["group"] == spawned[0]
        assert told["directory"] == spawned[1] == told["environment"]["PWD"] == str(release.resolve())
        assert told["umask"] == 0o027
        assert told["blocked"] == []
        assert told["ignored"] in ([], [signal.SIGPIPE, signal.SIGXFSZ])  # the two that Python ignores by itself
        assert told["fds"] == [0, 1, 2]
        assert told["stdin"] == "/dev/null"
        assert told["joined"]
        assert told["nofile"] == [soft, hard]

    in_world(short_path, test)


def test_sigpipe_is_not_ignored(short_path: Path) -> None:
    async def test(world: World) -> None:
        world.spawn("vfork", "sh", "-c", "kill -PIPE $$; echo ignored")
        world.spawn("fork", "sh", "-c", "kill -PIPE $$; echo ignored", nice=0)
        assert await world.until("exited", "vfork") == (None, signal.SIGPIPE)
        assert await world.until("exited", "fork") == (None, signal.SIGPIPE)

    in_world(short_path, test)


@as_root
def test_user_groups_limits_nice_and_affinity(short_path: Path) -> None:
    async def test(world: World) -> None:
        told = await what_it_tells(
            world,
            uid=NOBODY,
            gid=NOBODY,
            groups=(33, NOBODY),
            nice=5,
            affinity=(0,),
            limits=((resource.RLIMIT_NOFILE, 321), (resource.RLIMIT_CORE, 0)),
        )
        assert told["ids"] == [NOBODY] * 4
        assert told["groups"] == [33, NOBODY]
        assert told["nice"] == 5
        assert told["affinity"] == [0]
        assert told["nofile"] == [321, 321]
        assert told["core"] == [0, 0]

    in_world(short_path, test)


def test_env_file(short_path: Path) -> None:
    async def test(world: World) -> None:
        (short_path / "env").write_text(ENV_FILE)
        told = await what_it_tells(
            world, env_file="env", directory=str(short_path), env={"WINS": "pool", "LOSES": "x"}, env_wins=("WINS",)
        )
        got = {name: told["environment"][name] for name in ("A", "B", "C", "D", "E", "F", "WINS")}
        assert got == {
            "A": "1",
            "B": "two words",
            "C": '$x "y" \\n',
            "D": 'a\n"b"',
            "E": "",
            "F": "a#b",
            "WINS": "pool",
        }

    in_world(short_path, test)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"A=1\nsecret\n", "line 2: has no ="),
        (b"A=1\n\nse cret=1", "line 3: has no valid name before the ="),
        (b'A="secret', "line 1: has a quote that is not closed"),
        (b"A='secret' secret", "line 1: has text after the closing quote"),
        (b"A=1\nB=\xffsecret", "line 2: is not UTF-8"),
        (b"A=\0secret", "line 1: holds a NUL byte"),
    ],
)
def test_an_env_file_is_refused_without_its_text(short_path: Path, text: bytes, said: str) -> None:
    async def test(world: World) -> None:
        path = short_path / "env"
        path.write_bytes(text)
        world.spawn("r1", "true", env_file=str(path))
        (error,) = await world.until("spawn_failed", "r1")
        assert error == f"env-file {path}, {said}"
        assert "secret" not in error

    in_world(short_path, test)


@pytest.mark.parametrize("more", [{}, {"nice": 0}], ids=["vfork", "fork"])
def test_what_cannot_start_is_said_in_words(short_path: Path, more: dict[str, Any]) -> None:
    for name, first in {"orphan": b"#!/no/such/php -n\n", "text": b"echo\n"}.items():
        (short_path / name).write_bytes(first)
        (short_path / name).chmod(0o755)
    (short_path / "plain").write_text("")
    path = short_path

    async def test(world: World) -> None:
        cases: dict[str, tuple[tuple[str, ...], dict[str, Any], str]] = {
            "a": (("nothing",), {}, "command nothing: not found in PATH (no such file or directory)"),
            "b": (("/no/thing",), {}, "command /no/thing: no such file or directory"),
            "c": (("true",), {"directory": "/no/where"}, "directory /no/where: no such file or directory"),
            "d": (("true",), {"directory": f"{path}/plain"}, f"directory {path}/plain: not a directory"),
            "e": ((f"{path}/orphan",), {}, f"command {path}/orphan: its interpreter /no/such/php does not exist"),
            "f": ((f"{path}/text",), {}, f"command {path}/text: exec format error"),
            "g": ((f"{path}/plain",), {}, f"command {path}/plain: permission denied"),
            "h": (("plain",), {"env": {"PATH": str(path)}}, "command plain: permission denied"),
            "i": (("true", "a\0b"), {}, "invalid argument"),
            "j": (("true", "x" * 3_000_000), {}, "argument list too long"),
            "k": (("true",), {"notify": f"/no/where/{'n' * 120}"}, "notify socket /no/where/"),
        }
        keeper = world.processes.keeper_pid
        assert keeper is not None
        world.spawn("first", "nothing", **more)
        await world.until("spawn_failed", "first")
        before = open_descriptors(keeper)
        for run, (argv, extra, _) in cases.items():
            world.spawn(run, *argv, **(more | extra))
        for run, (_, _, said) in cases.items():
            (error,) = await world.until("spawn_failed", run)
            assert said in error, run
        # One more is open for a moment, while the keeper goes where the next run is to be born.
        await eventually(lambda: open_descriptors(keeper) <= before, "the keeper to have nothing of them open")

    in_world(short_path, test)


@as_root
def test_what_a_user_may_not_do_is_said_with_the_name(short_path: Path) -> None:
    who = pwd.getpwuid(NOBODY).pw_name
    closed = short_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "env").write_text("A=1")
    (closed / "program").write_text("#!/bin/sh\n")
    (closed / "program").chmod(0o755)
    short_path.chmod(0o755)

    async def test(world: World) -> None:
        cases: dict[str, tuple[tuple[str, ...], dict[str, Any], str]] = {
            "a": (("true",), {"directory": str(closed)}, f"directory {closed}: permission denied for user {who}"),
            "b": (("true",), {"env_file": f"{closed}/env"}, f"env-file {closed}/env: permission denied for user {who}"),
            "c": ((f"{closed}/program",), {}, f"command {closed}/program: permission denied for user {who}"),
            "d": (
                ("true",),
                {"limits": ((resource.RLIMIT_NOFILE, 1 << 40),)},
                "limits: nofile is above the hard limit",
            ),
        }
        for run, (argv, extra, _) in cases.items():
            world.spawn(run, *argv, user=who, uid=NOBODY, gid=NOBODY, groups=(NOBODY,), **extra)
        for run, (_, _, said) in cases.items():
            (error,) = await world.until("spawn_failed", run)
            assert error == said

    in_world(short_path, test)


def test_a_large_environment_arrives(short_path: Path) -> None:
    async def test(world: World) -> None:
        lengths = "${#LONG_0} ${#LONG_1} ${#LONG_2} ${#LONG_3} ${#LONG_4}"  # they would not fit into a user's pipe
        environment = {f"LONG_{number}": "x" * 100_000 for number in range(5)}
        world.spawn("r1", "sh", "-c", f"echo {lengths}", env=environment | {"PATH": os.defpath})
        assert await world.until("exited", "r1") == (0, None)
        assert world.output["r1"].decode().split() == ["100000"] * 5

    in_world(short_path, test)


def test_an_environment_that_did_not_arrive_is_told_again(short_path: Path) -> None:
    async def test(world: World) -> None:
        world.processes._keeper.request({"verb": "environ", "in_memfd": True}, [])  # whose memfd met EMFILE
        world.spawn("r1", "true")
        assert await world.until("spawn_failed", "r1") == ("cannot start a process (start): too many open files",)
        world.spawn("r2", "true")
        assert await world.until("exited", "r2") == (0, None)

    in_world(short_path, test)


@as_root
def test_the_notify_socket_belongs_to_the_user(short_path: Path) -> None:
    async def test(world: World) -> None:
        path = short_path / "n1"
        world.spawn("r1", "sleep", "1000", notify=str(path), uid=NOBODY, gid=NOBODY)
        await world.until("spawned", "r1")
        assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (NOBODY, 0o600)
        await world.processes.kill("r1")
        await world.until("exited", "r1")
        world.processes.forget("r1")
        world.spawn("r2", "true")
        await world.until("exited", "r2")
        assert not path.exists()

    in_world(short_path, test)


def test_there_may_be_more_runs_than_a_worker_may_have_descriptors(short_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = 64 + max(int(path.name) for path in Path("/proc/self/fd").iterdir())  # what this process has open, and some

    async def test(world: World) -> None:
        runs = [f"r{number}" for number in range(few // 2)]
        for run in runs:
            world.spawn(run, "sh", "-c", "ulimit -n; exec sleep 100", notify=str(short_path / run))
        for run in runs:
            assert await world.until_read(run, "\n") == f"{few}\n"
        for run in runs:
            await world.processes.kill(run)

    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    try:
        in_world(short_path, test)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
