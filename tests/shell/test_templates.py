"""The keeper's templates: births that wait, are refused, or are claimed by others; and when a template goes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from fleetd.keeper.run import Run
from fleetd.keeper.template import Birth
from fleetd.keeper.templates import NEWEST_SPARE, OLDER_SPARE, Templates, how_it_ended
from fleetd.shell import keeper_link
from tests.support.open_clone import readable
from tests.support.process_world import World, alive, children_of, eventually, open_descriptors

pytestmark = pytest.mark.process

APP = """
import os, signal, sys, time
ROOT = os.environ["ROOT"]
def imported(): open(ROOT + "/imports", "a").write(".")
{}
imported()
def work():
    print("at work", flush=True)
    while True:
        signal.pause()
"""
WAITS = 'open(ROOT + "/waits", "w")\nwhile not os.path.exists(ROOT + "/go"): time.sleep(0.005)'


class PreloadWorld(World):
    """A world whose workers are forked from one application."""

    def __init__(self, folder: Path, code: str = "", **more: Any) -> None:
        super().__init__(folder, "kept", **more)
        (folder / "app.py").write_text(APP.format(code))
        self.processes.begin()

    def fork(self, run: str, generation: int = 0, timeout: float = 20.0, **env: str) -> None:
        preload = {"pool": "media", "generation": generation, "timeout": timeout, "python": (sys.executable,),
                   "modules": (), "run": ("entry", "app:work"), "arguments": (), "own": ("FLEETD_RUN",)}  # fmt: skip
        more = {"directory": str(self.folder), "preload": preload, "env": {"ROOT": str(self.folder), **env}}
        self.spawn(run, "app:work", **more)

    def templates(self, what: str = "ready") -> list[dict[str, Any]]:
        return [told[2] for told in self.told if told[0] == "template" and told[2]["what"] == what]

    @property
    def imports(self) -> int:
        path = self.folder / "imports"
        return len(path.read_text()) if path.exists() else 0


def test_births_wait_for_one_import_and_others_do_not_wait_for_them(short_path: Path) -> None:
    async def test() -> None:
        world = PreloadWorld(short_path, WAITS)
        for number in range(20):
            world.fork(f"r{number}")
        await eventually((short_path / "waits").exists, "the import")
        world.spawn("other", "sh", "-c", "exit 3")
        assert await world.until("exited", "other") == (3, None)
        assert not any(world.told_of("spawned", f"r{number}") for number in range(20))
        (short_path / "go").touch()
        keeper = world.processes.keeper_pid
        assert keeper is not None
        for number in range(20):
            pid, _ = await world.until("spawned", f"r{number}")
            assert pid in children_of(keeper)
            await world.until_read(f"r{number}", "at work")
        assert world.imports == 1
        (template,) = world.templates()
        assert world.processes.trees.strays() == ()
        await world.end()
        assert not alive(template["pid"])

    asyncio.run(test())


def test_p1_a_new_daemon_is_told_nothing_of_births_that_waited(short_path: Path) -> None:
    """It knows of them from its journal, and asks by itself: a worker that came on its own would be one too many."""

    async def test() -> None:
        world = PreloadWorld(short_path, WAITS)
        world.fork("lost")
        await eventually((short_path / "waits").exists, "the import")
        world.leave()
        world = PreloadWorld(short_path, WAITS)
        assert world.processes.held == ()
        (short_path / "go").touch()
        world.fork("asked")
        pid, _ = await world.until("spawned", "asked")
        keeper = world.processes.keeper_pid
        assert keeper is not None
        (template,) = world.templates()
        assert set(children_of(keeper)) == {pid, template["pid"]}
        assert world.imports == 1
        await world.end()

    asyncio.run(test())


def test_a_template_killed_while_many_are_born(short_path: Path) -> None:
    async def test() -> None:
        world = PreloadWorld(short_path)
        world.fork("warms")
        await world.until("spawned", "warms")
        pids: set[int] = set()
        for batch in range(25):  # until the kill did not come after the last birth of a batch
            first, runs = world.templates()[-1], [f"r{batch}.{number}" for number in range(40)]
            for run in runs:
                world.fork(run)
            await world.until("spawned", runs[0])
            os.kill(first["pid"], signal.SIGKILL)
            pids |= {(await world.until("spawned", run))[0] for run in runs}
            assert len(pids) == (batch + 1) * 40
            second = world.templates()[-1]["pid"]
            if second != first["pid"]:
                break
            world.fork(f"warms{batch}")
            await world.until("spawned", f"warms{batch}")
        else:
            pytest.fail("no kill came while workers were born")
        keeper = world.processes.keeper_pid
        assert keeper is not None

        def children() -> set[int]:
            return {pid for pid in children_of(keeper) if alive(pid)}

        wanted = pids | {held.pid for held in world.processes.held} | {second}
        await eventually(lambda: children() == wanted, "no process but the runs' own")
        await world.end()

    asyncio.run(test())


def test_a_stopped_template_costs_its_births_and_no_more(short_path: Path) -> None:
    async def test() -> None:
        world = PreloadWorld(short_path)
        world.fork("warms")
        await world.until("spawned", "warms")
        (first,) = world.templates()
        os.kill(first["pid"], signal.SIGSTOP)
        world.fork("r1", timeout=0.3)
        (error,) = await world.until("spawn_failed", "r1")
        assert error == "entry app:work: no worker began within 0.3 s (start-timeout)"
        world.fork("r2")
        await world.until("spawned", "r2")
        assert world.templates()[-1]["pid"] != first["pid"]
        await world.end()

    asyncio.run(test())


FORKS_NO_MORE = """
import resource
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
@pytest.mark.root
def test_a_user_who_may_have_no_more_processes_is_told(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = "/usr/bin/python3"
    if not Path(python).exists():
        pytest.skip("needs a Python that every user may run")

    short_path.chmod(0o777)
    # The same keeper, from where the other user can read what it starts, too.
    monkeypatch.setattr(keeper_link, "PROGRAM", readable(keeper_link.PROGRAM))

    async def test() -> None:
        world = PreloadWorld(short_path, FORKS_NO_MORE)
        preload = {"pool": "media", "generation": 0, "timeout": 20.0, "python": (python,), "modules": (),
                   "run": ("entry", "app:work"), "arguments": (), "own": ("FLEETD_RUN",)}  # fmt: skip
        env = {"ROOT": str(short_path)}
        world.spawn("r1", "app:work", directory=str(short_path), preload=preload, env=env, uid=65534, gid=65534)
        (error,) = await world.until("spawn_failed", "r1")
        assert error == "cannot start a process (fork): resource temporarily unavailable"
        await world.end()

    asyncio.run(test())


LEAVES = """
import threading
def leave():
    while not os.path.exists(ROOT + "/go"): time.sleep(0.005)
    os.closerange(3, 100)
threading.Thread(target=leave, daemon=True).start()
"""


def test_a_template_that_closed_its_socket_is_ended(short_path: Path) -> None:
    async def test() -> None:
        world = PreloadWorld(short_path, LEAVES)
        world.fork("r1")
        await world.until("spawned", "r1")
        (first,) = world.templates()
        assert first["threads"] == 2
        (short_path / "go").touch()
        await eventually(lambda: open_descriptors(first["pid"]) == 3, "the closing")
        (short_path / "go").unlink()
        for run in ("r2", "r3"):
            world.fork(run)
            await world.until("spawned", run)
        assert world.templates()[-1]["pid"] != first["pid"]
        await eventually(lambda: not alive(first["pid"]), "its end")
        await world.end()

    asyncio.run(test())


def test_each_generation_and_environment_has_a_template_of_its_own(short_path: Path) -> None:
    async def test() -> None:
        world = PreloadWorld(short_path)
        for run, generation, env in (("a", 0, "x"), ("b", 0, "x"), ("c", 1, "x"), ("d", 1, "y"), ("e", 0, "x")):
            world.fork(run, generation, OWN=env)
            await world.until("spawned", run)
        assert world.imports == len(world.templates()) == 3
        await world.end()

    asyncio.run(test())


@pytest.mark.parametrize("kind", ["module", "script"])
def test_a_program_runs_as_main_with_its_arguments_and_its_exit_code(short_path: Path, kind: str) -> None:
    (short_path / "program.py").write_text(
        "import sys, atexit, app\natexit.register(print, 'at exit', flush=True)\n"
        "print(__name__, sys.argv[1:], sys.modules['__main__'].__dict__ is globals(), flush=True)\nsys.exit(4)\n"
    )
    what = {"module": "program", "script": "./program.py"}[kind]

    async def test() -> None:
        world = PreloadWorld(short_path)
        preload = {"pool": "media", "generation": 0, "timeout": 20.0, "python": (sys.executable,), "own": ()}
        preload |= {"modules": ("app",), "run": (kind, what), "arguments": ("a", "b c")}
        env = {"ROOT": str(short_path)}
        world.spawn("r1", "python3", "program.py", directory=str(short_path), preload=preload, env=env)
        assert await world.until("exited", "r1") == (4, None)
        assert world.read("r1") == "__main__ ['a', 'b c'] True\nat exit\n"
        assert world.imports == 1
        await world.end()

    asyncio.run(test())


def test_numpys_global_random_state_is_seeded_anew(short_path: Path) -> None:
    (short_path / "numpy").mkdir()
    (short_path / "numpy" / "__init__.py").touch()
    (short_path / "numpy" / "random.py").write_text("import os\nseeded = []\ndef seed(): seeded.append(os.getpid())\n")

    async def test() -> None:
        world = PreloadWorld(short_path, "import numpy.random")
        text = (short_path / "app.py").read_text()
        (short_path / "app.py").write_text(text.replace('"at work"', '"at work", numpy.random.seeded'))
        world.fork("r1")
        pid, _ = await world.until("spawned", "r1")
        assert f"at work [{pid}]\n" in await world.until_read("r1", "at work")
        await world.end()

    asyncio.run(test())


# -- who says hello --------------------------------------------------------------------------------------------------


def test_a_stranger_is_not_held_for_a_worker() -> None:
    """The kernel tells whose child the sender is: this process is not its own."""
    birth = Birth(Run("r1"), {})
    birth.hello, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    birth.hello.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    assert birth.hear() is None
    theirs.send(b"hello")
    with pytest.raises(EOFError):
        birth.hear()
    theirs.close()
    birth.close()


@pytest.mark.parametrize("uid", [None, os.geteuid(), 4711])
def test_a_child_of_the_right_user_is(uid: int | None) -> None:
    birth = Birth(Run("r1"), {"uid": uid})
    birth.hello, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    birth.hello.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    child = os.fork()
    if child == 0:
        theirs.send(b"hello")
        signal.pause()
        os._exit(0)
    try:
        if uid == 4711:
            with pytest.raises(EOFError):
                birth.hear()
        else:
            assert birth.hear() == child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        theirs.close()
        birth.close()


@pytest.mark.parametrize("answer", [b"nonsense\n", b"[]\n", b'{"directory": 1}\n', b'{"stage": 2}\n', b"{}\n", b"1\n"])
def test_what_a_worker_answers_does_not_harm_the_keeper(short_path: Path, answer: bytes) -> None:
    code = f"""
import sys
main = sys.modules["__main__"]
main.Template._become = lambda self, request, answers: os.write(answers, {answer!r})
"""

    async def test() -> None:
        world = PreloadWorld(short_path, code)
        world.fork("r1")
        (error,) = await world.until("spawn_failed", "r1")
        assert error == "cannot start a process (start): the worker's process answered nonsense"
        world.spawn("r2", "sh", "-c", "exit 3")
        assert await world.until("exited", "r2") == (3, None)
        await world.end()

    asyncio.run(test())


ENDS_WHILE_ANOTHER_HOLDS_ITS_PIPES = """
import sys
def become(self, request, answers):
    if os.fork() == 0:
        signal.pause()
    os.kill(os.getpid(), signal.SIGKILL)
sys.modules["__main__"].Template._become = become
"""


def test_a_worker_whose_answers_somebody_else_holds_open_does_not_hold_the_keeper(short_path: Path) -> None:
    async def test() -> None:
        world = PreloadWorld(short_path, ENDS_WHILE_ANOTHER_HOLDS_ITS_PIPES)
        world.fork("r1")
        await world.until("spawned", "r1")
        assert await world.until("exited", "r1") == (None, signal.SIGKILL)
        world.spawn("r2", "sh", "-c", "exit 3")
        assert await world.until("exited", "r2") == (3, None)
        await world.end()

    asyncio.run(test())


# -- time ------------------------------------------------------------------------------------------------------------


class Clocked:
    """As much of a template as its end by time needs."""

    def __init__(self, generation: int, *, workers: int = 0) -> None:
        self.pool, self.generation, self.workers = "media", generation, workers
        self.began_at, self.idle_since, self.timeout = 10.0 + generation, 100.0, 60.0
        self.ready, self.is_unwanted = True, False
        self.waiting: list[Birth] = []
        self.in_flight: set[Birth] = set()


def test_a_template_without_workers_goes_after_a_while_and_an_older_one_sooner() -> None:
    templates = Templates.__new__(Templates)
    old, new, busy = Clocked(0), Clocked(2), Clocked(1, workers=1)
    templates._by_key = {str(number): template for number, template in enumerate((old, new, busy))}  # type: ignore[misc]
    assert templates._due(old) == 100 + OLDER_SPARE  # type: ignore[arg-type]
    assert templates._due(new) == 100 + NEWEST_SPARE  # type: ignore[arg-type]
    assert templates._due(busy) is None, "P8: no timer for what only stands by"  # type: ignore[arg-type]


def test_how_it_ended() -> None:
    assert (how_it_ended(9), how_it_ended(3 << 8)) == ("signal 9", "exit code 3")
