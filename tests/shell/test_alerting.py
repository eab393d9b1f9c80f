"""Delivering messages: to receivers that refuse, redirect, hang or lie, and to commands that fail or never end."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetd.brokers.threads import Threads
from fleetd.config.webhook_url import parse
from fleetd.core.alerts import Word
from fleetd.core.events import AlertTold, Event
from fleetd.core.facts import Fact
from fleetd.core.incident import Message, Told
from fleetd.core.spec import FleetSpec
from fleetd.errors import FleetdError
from fleetd.shell import alerting
from fleetd.shell.alert_command import run
from fleetd.shell.alerting import Alerting
from fleetd.shell.reaper import Reaper
from fleetd.shell.webhook import post
from fleetd.views.alert_text import document
from fleetd.views.snapshot import Identity
from tests.support.alert_world import alert
from tests.support.redis_tls import Authority
from tests.support.waiting import wait_for
from tests.support.webhook_receiver import HANG, SECRET, Receiver, receiver

SHORT = 0.3  # seconds


def message(told: Told = Told.OPENED, key: str = "k", **changed: Any) -> Message:
    fields: dict[str, Any] = {"pool": "media", "queue": None, "broker": None, "epoch": None, "worker": "media:0"}
    fields |= {"error": "exit 3", "since": 1790000000.0, "ended": None, "value": 2, "threshold": 0.0, "count": 1}
    fields |= {"hosts": ("h1/app", "h2/app"), "begun": time.time()}
    return Message(key, "crash-loop-1", Word.CRASH_LOOP, told, **(fields | changed))


TOLD = document(message(), fleet="acme", host="h1", instance="app")
BODY = json.dumps(TOLD).encode()


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def refusal(url: str, limit: float = 30.0) -> str:
    with pytest.raises(FleetdError) as raised:
        asyncio.run(post(parse(url), BODY, Threads(1), limit))
    assert SECRET not in str(raised.value)
    return str(raised.value)


def test_a_document_is_posted_whole_to_its_path(hook: Receiver) -> None:
    asyncio.run(post(parse(hook.url), BODY, Threads(1)))
    assert hook.taken == [TOLD]
    (head,) = hook.heads
    assert head["path"] == f"/services/{SECRET}?thread=1"
    assert (head["Host"], head["Content-Type"]) == (f"127.0.0.1:{hook.port}", "application/json")


def test_what_is_no_success_says_so(hook: Receiver) -> None:
    hook.answers = [500, 404, 302]
    assert [refusal(hook.url) for _ in range(3)] == [
        "it answers 500",
        "it answers 404",
        "it answers 302: redirects are not followed",
    ]
    assert len(hook.asked) == 3


def test_who_does_not_answer_is_not_waited_for(hook: Receiver) -> None:
    hook.answers = [HANG]
    assert refusal(hook.url, SHORT) == f"no answer within {SHORT} s"
    with socket.create_server(("127.0.0.1", 0), backlog=1) as deaf:
        assert refusal(f"http://127.0.0.1:{deaf.getsockname()[1]}/{SECRET}", SHORT).startswith("no answer")
    assert refusal(f"http://127.0.0.1:{hook.port + 0}/{SECRET}".replace("http:", "https:")).startswith("no TLS")


def test_a_name_server_that_hangs_holds_nothing_up_and_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answers = [], threading.Event()

    def ask(host: str, *_: Any, **__: Any) -> Any:
        asked.append(host)
        answers.wait(60)
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    async def try_again() -> None:
        lookups = Threads(1)
        for _ in range(3):
            with pytest.raises(FleetdError, match="no answer within"):
                await post(parse(f"http://hooks.example/{SECRET}"), BODY, lookups, SHORT)

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    began = time.monotonic()
    asyncio.run(try_again())
    assert time.monotonic() - began < 30, "the loop's end waits for no thread"
    assert asked == ["hooks.example"]
    answers.set()


def test_the_first_address_that_listens_is_taken(hook: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo

    def ask(host: str, port: int, *rest: Any, **more: Any) -> Any:
        assert host == "hooks.example"
        return [*look_up("127.0.0.2", port, *rest, **more), *look_up("127.0.0.1", port, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    asyncio.run(post(parse(hook.url.replace("127.0.0.1", "hooks.example")), BODY, Threads(1)))
    assert hook.taken == [TOLD]
    assert hook.heads[0]["Host"] == f"hooks.example:{hook.port}"


def test_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert "refused" in refusal(f"http://127.0.0.1:{port}/{SECRET}").lower()


@pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n", b"", b"x" * 100_000])
def test_what_is_no_http_is_said_to_be_none(answer: bytes) -> None:
    async def ask() -> str:
        async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

        async with await asyncio.start_server(say, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(FleetdError) as raised:
                await post(parse(f"http://127.0.0.1:{port}/"), BODY, Threads(1))
        return str(raised.value)

    assert "does not speak HTTP" in asyncio.run(ask())


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_a_host_that_can_be_no_name(host: str) -> None:
    assert refusal(f"https://{host}/{SECRET}") == "its host is no name that can be looked up"


def test_a_certificate_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = Authority(tmp_path)
    ca.create()
    with receiver(ca.issue("server", "IP:127.0.0.1")) as hook:
        assert refusal(hook.url).startswith("its certificate is not valid: ")
        assert hook.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(ca.certificate))
        asyncio.run(post(parse(hook.url), BODY, Threads(1)))
        assert hook.taken == [TOLD]


# -- commands --------------------------------------------------------------------------------------------------------


def ran(*command: str, limit: float = 30.0) -> None:
    async def main() -> None:
        reaper = Reaper(asyncio.get_running_loop())
        try:
            await run(command, TOLD, BODY, reaper, limit)
        finally:
            reaper.close()

    asyncio.run(main())


def test_a_command_gets_the_document_and_knows_what_it_is_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/the/daemons")
    said = tmp_path / "said"
    program = "json.dump([json.load(sys.stdin), dict(os.environ), sys.argv[1:]]"
    ran(sys.executable, "-c", f"import os, sys, json; {program}, open({str(said)!r}, 'w'))", "$HOME; `id`")
    told, environment, words = json.loads(said.read_text())
    assert told == TOLD
    assert words == ["$HOME; `id`"], "there is no shell"
    assert environment["FLEETD_EVENT"] == "crash-loop"
    assert environment["FLEETD_STATE"] == "opened"
    assert (environment["FLEETD_POOL"], environment["FLEETD_FLEET"]) == ("media", "acme")
    assert not {"FLEETD_QUEUE", "NOTIFY_SOCKET"} & environment.keys()


def test_a_command_that_fails_says_its_last_words(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(FleetdError, match="it ended with exit code 3"):
        ran("/bin/sh", "-c", "for i in $(seq 30); do echo line $i; done; printf '\\033[31mred\\n' >&2; exit 3")
    assert [record.getMessage() for record in caplog.records][-2:] == [
        "alert: the command said: line 30",
        "alert: the command said: red",
    ]
    assert len(caplog.records) == 10
    with pytest.raises(FleetdError, match="cannot be started: No such file"):
        ran("/no/such/program")
    with pytest.raises(FleetdError, match="it was ended by SIGKILL"):
        ran("/bin/sh", "-c", "kill -9 $$")
    with pytest.raises(FleetdError, match="it was ended by signal 40"):
        ran("/bin/sh", "-c", "kill -40 $$")


def test_a_command_without_a_descriptor_left_is_not_started() -> None:
    async def main() -> None:
        reaper = Reaper(asyncio.get_running_loop())
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            with pytest.raises(FleetdError, match="cannot be started: Too many open files"):
                await run(("true",), TOLD, BODY, reaper)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            reaper.close()

    asyncio.run(main())


def test_a_command_that_does_not_end_is_killed_with_its_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 1000 & echo $! >{pids}.new; mv {pids}.new {pids}; trap '' TERM; while :; do sleep 1000; done"
    for limit in (1.0, 5.0, 25.0):  # until it has come so far meanwhile
        with pytest.raises(FleetdError, match=f"did not end within {limit:g} s"):
            ran("/bin/sh", "-c", script, limit=limit)
        if pids.exists():
            break
    pid = int(pids.read_text())
    wait_for(lambda: not _lives(pid), "what it started to be gone")


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# -- in order, and again ---------------------------------------------------------------------------------------------


class Daemon:
    """Whose alerts they are."""

    def __init__(self, **keys: Any) -> None:
        self.spec = FleetSpec({}, alerts=(alert(Word.CRASH_LOOP, **keys),))
        self.identity = Identity("app", "h1", os.getpid(), "0", 0.0)
        self.facts: Any = self
        self.told: list[AlertTold] = []
        self.failed: list[Fact] = []
        self.heard = asyncio.Event()
        self.then: Callable[[], None] = lambda: None  # what it does when it hears of a failure

    def post(self, event: Event) -> None:
        assert isinstance(event, AlertTold)
        self.told.append(event)
        self.heard.set()

    def tell(self, fact: Fact) -> None:
        self.failed.append(fact)
        self.then()

    async def hears(self, number: int) -> None:
        async with asyncio.timeout(60):
            while len(self.told) < number:
                self.heard.clear()
                await self.heard.wait()


def deliver(work: Callable[[Alerting, Daemon], Awaitable[None]], **keys: Any) -> Daemon:
    async def main() -> Daemon:
        reaper = Reaper(asyncio.get_running_loop())
        daemon = Daemon(**keys)
        teller = Alerting(daemon, "acme", reaper)
        try:
            await work(teller, daemon)
        finally:
            await teller.close()
            reaper.close()
        return daemon

    return asyncio.run(main())


def test_messages_arrive_in_order_and_a_failure_is_told_once(hook: Receiver) -> None:
    hook.answers = [500]

    async def work(teller: Alerting, daemon: Daemon) -> None:
        teller.notify(message())
        teller.notify(message(Told.RECOVERED, ended=1790000061.0))
        await daemon.hears(2)

    daemon = deliver(work, webhook=hook.url)
    assert [told.told for told in daemon.told] == ["opened", "recovered"]
    assert hook.states() == [("crash-loop", "opened"), ("crash-loop", "recovered")]
    (failed,) = daemon.failed
    assert failed.fields == {
        "on": "crash-loop", "subject": None, "told": "opened", "error": "it answers 500", "attempts": 1, "again": True,
        "via": f"webhook http://127.0.0.1:{hook.port}",
    }  # fmt: skip


def test_what_was_tried_for_long_is_given_up() -> None:
    async def work(teller: Alerting, daemon: Daemon) -> None:
        teller.notify(message(begun=time.time() - alerting.TRIED_FOR - 60))
        await daemon.hears(1)

    daemon = deliver(work, webhook=None, command=("false",))
    assert [(fact.fields["again"], fact.fields["via"]) for fact in daemon.failed] == [(False, "command")]


def test_no_more_than_so_many_wait(hook: Receiver) -> None:
    hook.answers = [HANG]

    async def work(teller: Alerting, daemon: Daemon) -> None:
        for number in range(alerting.MOST + 2):
            teller.notify(message(key=f"k{number}"))
        assert [told.key for told in daemon.told] == [f"k{alerting.MOST}", f"k{alerting.MOST + 1}"]
        assert len(daemon.failed) == 2
        await asyncio.to_thread(wait_for, lambda: hook.asked, "the first one")

    assert len(deliver(work, webhook=hook.url).told) == 2, "what hangs holds up no end"


def test_a_reload_that_takes_an_alert_out_ends_its_telling(hook: Receiver) -> None:
    hook.answers = [500] * 10

    async def work(teller: Alerting, daemon: Daemon) -> None:
        def reload() -> None:
            daemon.spec = FleetSpec({})

        daemon.then = reload  # before it is tried again
        teller.notify(message())
        await daemon.hears(1)
        assert daemon.failed

    deliver(work, webhook=hook.url)
    assert len(hook.asked) == 1


def test_what_fails_unexpectedly_is_tried_again(hook: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    async def work(teller: Alerting, daemon: Daemon) -> None:
        teller.notify(message())
        await asyncio.to_thread(wait_for, lambda: daemon.failed, "the first attempt")
        daemon.spec = FleetSpec({}, alerts=(alert(Word.CRASH_LOOP, webhook=hook.url),))
        await daemon.hears(1)

    broken = {"webhook": None, "command": ("true", "\0")}
    (failed,) = deliver(work, **broken).failed
    assert (failed.fields["error"], failed.fields["again"]) == ("internal error, see the daemon's log", True)
    assert hook.states() == [("crash-loop", "opened")]
    assert "an alert failed unexpectedly" in caplog.text
