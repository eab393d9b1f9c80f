"""Where Prometheus, load balancers and container runtimes look: a port, at which `pages` answers.

Where the address cannot be had, the daemon goes on without, and tries again.  Nothing that is needed for it is
imported by a daemon that listens nowhere.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from fleetd.shell.usage import PoolUsage

if TYPE_CHECKING:
    from fleetd.shell.daemon import Daemon
    from fleetd.shell.http_server import HttpServer
    from fleetd.shell.pages import Pages

AGAIN = 2.0  # seconds between two tries to listen
PATIENCE = 0.5  # seconds that a daemon which starts or reloads waits for the first one

_log = logging.getLogger("fleetd")


class Metrics:
    """Listens for one daemon, where its pool files say."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._usage = PoolUsage()  # what was used since the daemon began, whenever somebody comes to look
        self._pages: Pages | None = None
        self._address: str | None = None
        self._server: HttpServer | None = None
        self._trying: asyncio.Task[None] | None = None

    async def follow(self, address: str | None) -> None:
        """Listen there from now on, None: nowhere; returns when that was tried once, or takes long."""
        if address == self._address:
            return
        if address is None:
            await self.close()
        else:
            await self._move(self._imported_pages(), address)

    async def _move(self, pages: Pages, address: str) -> None:
        await self.close()
        self._address = address
        tried = asyncio.Event()
        self._trying = asyncio.create_task(self._keep_trying(pages, address, tried))
        with suppress(TimeoutError):  # a name server may be away, and much else waits for this
            await asyncio.wait_for(tried.wait(), PATIENCE)

    def _imported_pages(self) -> Pages:
        """With all that they need: when they are asked for, the files may be those of another version."""
        from fleetd.shell.pages import Pages  # noqa: PLC0415 - a daemon that listens nowhere does without

        self._pages = self._pages or Pages(self._daemon, self._usage)
        return self._pages

    async def close(self) -> None:
        """Listen nowhere."""
        if self._trying is not None:
            self._trying.cancel()
            with suppress(asyncio.CancelledError):
                await self._trying
        if self._server is not None:
            await self._server.close()
        self._trying = self._server = self._address = None

    async def _keep_trying(self, pages: Pages, address: str, tried: asyncio.Event) -> None:
        told = None
        while (trouble := await self._listen(pages, address)) is not None:
            if told is None:
                _log.error("%s: nobody is told of metrics; tried again every %g s", trouble, AGAIN)
            elif trouble != told:
                _log.error("%s", trouble)
            told = trouble
            tried.set()
            await asyncio.sleep(AGAIN)
        tried.set()

    async def _listen(self, pages: Pages, address: str) -> str | None:
        """Why it was in vain, None: it was not."""
        self._server = pages.server()
        try:
            url = await self._server.open(address)
        except OSError as error:
            self._server = None
            return f"metrics-listen: cannot listen at {address}: {error.strerror or error}"
        _log.info("metrics at %smetrics", url)
        return None
