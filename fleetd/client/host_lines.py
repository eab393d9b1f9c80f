"""The output of one worker of one daemon, followed over the daemon's death and over its log's rotation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from fleetd.client.control import ControlClient
from fleetd.client.host_calls import beside
from fleetd.client.logs import Following, last_lines
from fleetd.client.streams import AGAIN, items
from fleetd.client.worker_log import Overlap, of_worker, readable_log
from fleetd.errors import FleetdError, NotFoundError

LINES = 200  # of the last ones that are told first
_EVERY = 0.25  # seconds between two looks at a log file
_ASKED_WITHIN = 10.0  # seconds


async def worker_lines(client: ControlClient, worker: str) -> AsyncGenerator[str]:
    """See `fleetd.views.picture.Source.lines`."""
    answer = await beside(client.call, "logs", {"targets": [worker]}, None, _ASKED_WITHIN)
    if not answer["workers"]:
        raise NotFoundError(f"no such worker: {worker}")
    path = readable_log(answer["workers"][0]["path"])
    lines = _told(client, worker) if path is None else _of_file(path, worker)
    async with aclosing(lines):
        async for line in lines:
            yield line


async def _of_file(path: Path, worker: str) -> AsyncGenerator[str]:
    """The file stays while daemons come and go, so nothing is missed or told twice."""
    log = Following(path)
    try:
        for line in last_lines(path, LINES, log.found_at):
            yield of_worker(worker, line.text)
        while True:
            for text in log.new_lines():
                yield of_worker(worker, text)
            await asyncio.sleep(_EVERY)
    except PermissionError:
        raise FleetdError(f"{path}: this user may not read it any more") from None
    finally:
        log.close()


async def _told(client: ControlClient, worker: str) -> AsyncGenerator[str]:
    """Where there is no file that can be read here, the daemon tells the lines."""
    overlap, request = Overlap(LINES), {"targets": [worker], "n": LINES}
    while True:
        try:
            async with aclosing(items(client, "logs-follow", request)) as told:
                async for item in told:
                    earlier = item["earlier"][worker] if "earlier" in item else None
                    for line in overlap.new(earlier) if earlier is not None else overlap.went_on(item["line"]):
                        yield line
        except NotFoundError as error:
            if "no such" in str(error):
                raise
        except FleetdError:
            pass  # the pictures say what is the matter
        await asyncio.sleep(AGAIN)
