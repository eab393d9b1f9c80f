"""A real control server on a thread of its own, with a few real verbs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fleetd.errors import NotFoundError, UnreachableError, UsageError, WaitTimeoutError
from fleetd.shell.control import ControlServer
from fleetd.shell.conversation import Reply, Verb

RAISED = {2: UsageError, 3: NotFoundError, 4: UnreachableError, 5: WaitTimeoutError}


class Served:
    """What the verbs saw, and the loop that they run on."""

    def __init__(self) -> None:
        self.waiting = threading.Event()
        self.cancelled = threading.Event()
        self.items_sent = 0
        self.defects: list[str] = []
        self.loop: asyncio.AbstractEventLoop

    def verbs(self) -> Mapping[str, Verb]:
        return {
            "echo": self.echo,
            "fail": self.fail,
            "count": self.count,
            "wait": self.wait,
            "flood": self.flood,
            "defect": self.defect,
        }

    async def echo(self, args: Mapping[str, Any], reply: Reply) -> Any:
        return dict(args)

    async def fail(self, args: Mapping[str, Any], reply: Reply) -> Any:
        raise RAISED[args["code"]](args["message"])

    async def count(self, args: Mapping[str, Any], reply: Reply) -> Any:
        for done in range(args["to"]):
            await reply.progress(done + 1, args["to"], f"step {done + 1}")
            await reply.item({"n": done + 1})
        return {"counted": args["to"]}

    async def wait(self, args: Mapping[str, Any], reply: Reply) -> Any:
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def flood(self, args: Mapping[str, Any], reply: Reply) -> Any:
        self.waiting.set()
        try:
            for _ in range(args["items"]):
                await reply.item({"text": "x" * 1000})
                self.items_sent += 1
        finally:
            self.cancelled.set()

    async def defect(self, args: Mapping[str, Any], reply: Reply) -> Any:
        return args["missing"]


@contextmanager
def serving(
    path: Path, group: str | None = None, patience: float = 10.0, verbs: Mapping[str, Verb] | None = None
) -> Iterator[Served]:
    """A server at `path` for as long as the block lasts; `verbs` are those beside its own."""
    served = Served()
    listening = threading.Event()
    failure: list[BaseException] = []

    async def main(stop: asyncio.Event) -> None:
        served.loop = asyncio.get_running_loop()
        served.loop.set_exception_handler(lambda _, context: served.defects.append(repr(context["exception"])))
        server = ControlServer(path, {**served.verbs(), **(verbs or {})}, group=group, patience=patience)
        await server.open()
        listening.set()
        await stop.wait()
        await server.close(grace=0.2)

    stop = asyncio.Event()

    def run() -> None:
        try:
            asyncio.run(main(stop))
        except UsageError as error:
            failure.append(error)
            listening.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert listening.wait(30)
    try:
        if failure:
            raise failure[0]
        yield served
    finally:
        if thread.is_alive():
            served.loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        assert not thread.is_alive()
