from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fleetd.client.control import ControlClient
from fleetd.errors import FleetdError, NotFoundError, UnreachableError, UsageError, WaitTimeoutError
from fleetd.shell.control import LARGEST_REQUEST, ControlServer
from fleetd.shell.conversation import Reply
from tests.support.control_server import serving

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="switching to another user needs root")


def client(path: Path) -> ControlClient:
    return ControlClient("media", path)


def raw(path: Path, request: bytes) -> list[dict[str, object]]:
    """Every answer line to bytes that are no client's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        with suppress(BrokenPipeError):
            connection.sendall(request)
        with connection.makefile("rb") as answer:
            return [json.loads(line) for line in answer]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


def test_an_answer_is_what_the_verb_returns(path: Path) -> None:
    with serving(path):
        assert client(path).call("echo", {"targets": ["media:*", "ünï"]}) == {"targets": ["media:*", "ünï"]}


def test_an_answer_may_be_larger_than_a_request(path: Path) -> None:
    with serving(path):
        body = {"text": "x" * (LARGEST_REQUEST - 100)}
        assert client(path).call("echo", body) == body


@pytest.mark.parametrize(
    ("code", "error"),
    [(2, UsageError), (3, NotFoundError), (4, UnreachableError), (5, WaitTimeoutError)],
)
def test_a_failure_keeps_its_exit_code(path: Path, code: int, error: type[FleetdError]) -> None:
    with serving(path), pytest.raises(error, match="no such pool") as raised:
        client(path).call("fail", {"code": code, "message": "no such pool"})
    assert raised.value.exit_code == code


def test_progress_and_items_come_in_order(path: Path) -> None:
    steps: list[tuple[int, int, str]] = []
    with serving(path):
        result = client(path).call("count", {"to": 3}, on_progress=lambda *step: steps.append(step))
        items = list(client(path).stream("count", {"to": 3}))
    assert result == {"counted": 3}
    assert steps == [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]
    assert items == [{"n": 1}, {"n": 2}, {"n": 3}]


def wait_until_the_end(path: Path) -> None:
    with pytest.raises(FleetdError, match="the daemon has ended"):
        client(path).call("wait")


def test_two_clients_are_served_at_once(path: Path) -> None:
    with serving(path) as served:
        waiter = threading.Thread(target=wait_until_the_end, args=[path])
        waiter.start()
        assert served.waiting.wait(10)
        assert client(path).call("echo", {"n": 2}) == {"n": 2}
    waiter.join(10)
    assert not waiter.is_alive()


def test_waiting_ends_with_the_time_and_says_that_the_work_goes_on(path: Path) -> None:
    with serving(path) as served:
        with pytest.raises(WaitTimeoutError, match=r"not finished after 0.2 s; the work itself goes on"):
            client(path).call("wait", timeout=0.2)
        assert served.cancelled.wait(10)


def test_a_client_that_hangs_up_ends_the_waiting(path: Path) -> None:
    with serving(path) as served:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(str(path))
        connection.sendall(b'{"verb":"wait","args":{}}\n')
        assert served.waiting.wait(10)
        connection.close()
        assert served.cancelled.wait(10)
        assert client(path).call("echo") == {}


@pytest.mark.parametrize(
    ("request_bytes", "message"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "the request is not JSON"),
        (b"\xff\xfe\x00\n", "the request is not JSON"),
        (b"[" * 100_000 + b"\n", "the request is not JSON"),
        (b"[]\n", 'the request is not of the form {"verb": "...", "args": {...}}'),
        (b'{"verb": "echo"}\n', 'the request is not of the form {"verb": "...", "args": {...}}'),
        (b'{"verb": 1, "args": {}}\n', 'the request is not of the form {"verb": "...", "args": {...}}'),
        (b'{"verb": "__class__", "args": {}}\n', "the daemon knows no verb '__class__'"),
        (b"x" * (LARGEST_REQUEST + 10), f"the request is larger than {LARGEST_REQUEST} bytes"),
        (b'{"verb": "wait", "args": {}}\n{"verb": "wait", "args": {}}\n', "a connection takes one request"),
    ],
    ids=["http", "binary", "deep", "list", "no args", "verb no text", "unknown verb", "too large", "two requests"],
)
def test_garbage_gets_one_error_and_the_connection_closes(path: Path, request_bytes: bytes, message: str) -> None:
    with serving(path) as served:
        (answer,) = raw(path, request_bytes)
        assert client(path).call("echo") == {}
    error = answer["error"]
    assert isinstance(error, dict)
    assert error["code"] == 2
    assert error["message"].startswith(message)
    assert served.defects == []


def test_a_client_that_sends_nothing_is_dropped(path: Path) -> None:
    with serving(path, patience=0.2):
        assert raw(path, b"") == []


def test_half_a_request_is_dropped(path: Path) -> None:
    with serving(path) as served:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(path))
            connection.sendall(b'{"verb": "wai')
        assert client(path).call("echo") == {}
        assert served.defects == []


def test_a_follower_that_does_not_read_is_held_up_and_then_dropped(path: Path) -> None:
    with serving(path, patience=1.5) as served, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(path))
        connection.sendall(b'{"verb":"flood","args":{"items":1000000}}\n')
        assert served.waiting.wait(10)
        assert client(path).call("echo") == {}
        assert served.cancelled.wait(10)
        # What the socket and the write buffer take, and nothing near the million.
        assert served.items_sent < 2000


def test_a_defect_of_a_verb_is_logged_and_the_client_is_told_where_to_look(path: Path) -> None:
    with serving(path) as served:
        with pytest.raises(FleetdError, match="hung up without an answer: see its log"):
            client(path).call("defect")
        assert client(path).call("echo") == {}
    assert served.defects == ["KeyError('missing')"]


def test_no_daemon_is_one_line(path: Path) -> None:
    with pytest.raises(NotFoundError, match="no daemon of instance 'media' answers at"):
        client(path).call("ping")
    with serving(path):
        pass
    assert not path.exists()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    with pytest.raises(NotFoundError, match="no daemon of instance 'media' answers at"):
        client(path).call("ping")


def test_a_dead_daemons_socket_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    with serving(path):
        assert client(path).call("echo") == {}


def test_the_socket_is_for_its_owner_alone(path: Path) -> None:
    with serving(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_unknown_socket_group_is_a_usage_error(path: Path) -> None:
    with (
        pytest.raises(UsageError, match="socket-group: this host has no group 'nosuchgroup'"),
        serving(path, "nosuchgroup"),
    ):
        pass


ASK = """
import contextlib, socket, sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
with contextlib.suppress(BrokenPipeError):  # who may not ask is answered before he has
    connection.sendall(b'{"verb":"echo","args":{}}\\n')
print(connection.makefile().readline())
"""


def ask_as(path: Path, *identity: str) -> subprocess.CompletedProcess[str]:
    """Ask for an echo as another user, who may not be able to read this clone."""
    command = ["setpriv", *identity, sys.executable, "-c", ASK, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def open_path(short_path: Path) -> Path:
    short_path.chmod(0o755)
    return short_path / "control.sock"


@pytest.mark.root
@as_root
def test_another_user_is_kept_out_by_the_mode_and_by_its_credentials(open_path: Path) -> None:
    nobody = (f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    with serving(open_path):
        assert "PermissionError" in ask_as(open_path, *nobody).stderr
        open_path.chmod(0o666)
        answer = json.loads(ask_as(open_path, *nobody).stdout)
    assert answer["error"]["code"] == 1
    assert answer["error"]["message"].startswith(f"user {NOBODY} (pid ")


@pytest.mark.root
@as_root
def test_members_of_the_socket_group_may_command(open_path: Path) -> None:
    with serving(open_path, "games"):
        found = open_path.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, 60)
        member = ask_as(open_path, f"--reuid={NOBODY}", "--regid=60", "--clear-groups")
        stranger = ask_as(open_path, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        open_path.chmod(0o666)
        forced = ask_as(open_path, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    assert json.loads(member.stdout) == {"result": {}}
    assert "PermissionError" in stranger.stderr
    assert "group 'games' may" in json.loads(forced.stdout)["error"]["message"]


@pytest.mark.parametrize("groups", [(None, "games"), ("games", None)])
@pytest.mark.root
@as_root
def test_an_inherited_socket_is_for_whom_the_files_name_now(path: Path, groups: tuple[str | None, str | None]) -> None:
    before, after = groups

    async def hand_over() -> tuple[int, int]:
        first = ControlServer(path, {}, group=before)
        await first.open()
        await first.hold()
        left = first.left()
        second = ControlServer(path, {}, group=after)
        await second.open(replace(left, listener=os.dup(left.listener)))
        found = path.stat()  # noqa: ASYNC240 - a test
        assert (found.st_dev, found.st_ino) == left.file
        await second.close()
        await first.close()
        return stat.S_IMODE(found.st_mode), found.st_gid

    mode, gid = asyncio.run(hand_over())
    assert (mode, gid) == (0o660, 60) if after else mode == 0o600


@pytest.mark.parametrize("held", [False, True])
def test_who_has_reached_a_socket_that_is_then_removed_is_answered(path: Path, held: bool) -> None:
    async def ping(args: Mapping[str, Any], reply: Reply) -> Any:
        return "here"

    async def test() -> bytes:
        server = ControlServer(path, {"ping": ping})
        await server.open()
        if held:
            await server.hold()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.setblocking(False)  # the kernel lets it in before the server looks
            connection.connect(str(path))
            connection.send(b'{"verb": "ping", "args": {}}\n')
            path.unlink()  # noqa: ASYNC240 - a test
            assert await server.restore() is not held
            if held:
                await server.release()
            assert path.exists()  # noqa: ASYNC240 - a test
            answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(connection, 100), 10)
        await server.close()
        return answer

    assert asyncio.run(test()) == b'{"result":"here"}\n'


WATCHED = """
import asyncio, pathlib, shutil, sys
from fleetd.client.control import ControlClient
from fleetd.errors import NotFoundError
from fleetd.shell.control import ControlServer

path = pathlib.Path(sys.argv[1])

async def ping(args, reply):
    return {}

async def answered():
    client = ControlClient("media", path)
    while True:
        try:
            return await asyncio.to_thread(client.call, "ping", {}, None, 30)
        except NotFoundError:
            await asyncio.sleep(0.01)

async def main():
    server = ControlServer(path, {"ping": ping})
    await server.open()
    assert not await server.restore()
    assert server.watch()
    away = path.with_name("away")
    for remove in (path.unlink, lambda: shutil.rmtree(path.parent), lambda: path.rename(away), path.unlink):
        remove()
        assert await asyncio.wait_for(answered(), 30) == {}
    await server.close()
    assert not path.exists()

asyncio.run(main())
"""


@pytest.mark.process
def test_the_socket_comes_back_when_a_cleaner_removed_it(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", WATCHED, str(tmp_path / "media" / "control.sock")],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        cwd=_with_directory(tmp_path / "media").parent,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def _with_directory(directory: Path) -> Path:
    directory.mkdir()
    return directory


@pytest.mark.parametrize("timeout", [0.2, 0])
def test_a_daemon_that_hangs_is_given_up_where_its_callers_stand_in_line(short_path: Path, timeout: float) -> None:
    """As many as may wait for it do: so many checks of its health had to give up before."""
    path = short_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as earlier:
        listener.bind(str(path))
        listener.listen(0)
        earlier.connect(str(path))
        with pytest.raises(WaitTimeoutError, match=rf"^the daemon takes no connection within {timeout} s$"):
            ControlClient("media", path).call("ping", timeout=timeout)


def test_what_is_to_be_done_is_asked_for_though_no_time_is_left_to_wait_for_it(short_path: Path) -> None:
    path = short_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(WaitTimeoutError, match=r"^not finished after 0 s; the work itself goes on$"):
            client(path).call("reload", timeout=0)
        with listener.accept()[0] as asked:
            assert json.loads(asked.recv(1000)) == {"verb": "reload", "args": {}}


def test_the_end_of_a_daemon_is_waited_for_so_long_and_no_longer(short_path: Path) -> None:
    path = short_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        ended = client(path).until_gone(0.1)  # that of this process
        with pytest.raises(WaitTimeoutError, match=r"^not finished after 0\.1 s"):
            ended()
