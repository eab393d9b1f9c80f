"""Where Prometheus, load balancers and container runtimes look: /metrics, /healthz and /readyz.

All is drawn when somebody asks.  Where the address cannot be had, the daemon goes on without, and tries again.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from http import HTTPStatus
from importlib import import_module
from typing import TYPE_CHECKING

from fleetd.shell.http_server import TEXT, Answer, Asked, HttpServer, refusal
from fleetd.shell.readiness import reasons_against
from fleetd.shell.usage import PoolUsage, own
from fleetd.views.metrics.metric import Scrape

if TYPE_CHECKING:
    from fleetd.shell.daemon import Daemon

AGAIN = 2.0  # seconds between two tries to listen
PATIENCE = 0.5  # seconds that a daemon which starts or reloads waits for the first one
MOST_REASONS = 100  # lines of /readyz

_log = logging.getLogger("fleetd")


class Metrics:
    """Serves them of one daemon, where its pool files say."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._usage = PoolUsage()
        self._address: str | None = None
        self._server: HttpServer | None = None
        self._trying: asyncio.Task[None] | None = None

    async def follow(self, address: str | None) -> None:
        """Listen there from now on, None: nowhere; returns when that was tried once, or takes long."""
        if address == self._address:
            return
        await self.close()
        self._address = address
        if address is not None:
            import_module("fleetd.shell.exposition")  # once it is asked for, the files may be those of another version
            tried = asyncio.Event()
            self._trying = asyncio.create_task(self._keep_trying(address, tried))
            with suppress(TimeoutError):  # a name server may be away, and much else waits for this
                await asyncio.wait_for(tried.wait(), PATIENCE)

    async def close(self) -> None:
        """Listen nowhere."""
        if self._trying is not None:
            self._trying.cancel()
            with suppress(asyncio.CancelledError):
                await self._trying
        if self._server is not None:
            await self._server.close()
        self._trying = self._server = self._address = None

    async def _keep_trying(self, address: str, tried: asyncio.Event) -> None:
        told = None
        while (trouble := await self._listen(address)) is not None:
            if told is None:
                _log.error("%s: nobody is told of metrics; tried again every %g s", trouble, AGAIN)
            elif trouble != told:
                _log.error("%s", trouble)
            told = trouble
            tried.set()
            await asyncio.sleep(AGAIN)
        tried.set()

    async def _listen(self, address: str) -> str | None:
        """Why it was in vain, None: it was not."""
        self._server = HttpServer(self._answer)
        try:
            url = await self._server.open(address)
        except OSError as error:
            self._server = None
            return f"metrics-listen: cannot listen at {address}: {error.strerror or error}"
        _log.info("metrics at %smetrics", url)
        return None

    def _answer(self, asked: Asked) -> Answer:
        match asked.path:
            case "/metrics":
                return self._metrics(asked.accept)
            case "/healthz":
                return Answer(b"ok\n")
            case "/readyz":
                return self._ready()
            case "/":
                return Answer(b"/metrics\n/healthz\n/readyz\n")
            case _:
                return refusal(HTTPStatus.NOT_FOUND)

    def _metrics(self, accept: str) -> Answer:
        from fleetd.shell.exposition import exposed  # noqa: PLC0415 - a daemon that nobody asks does without

        body, kind = exposed(self._scrape(), accept)
        return Answer(body, kind=kind)

    def _scrape(self) -> Scrape:
        daemon = self._daemon
        pool_of = {run.id: run.pool for run in daemon.state.runs.values()}
        pools = self._usage.measure(daemon.runs.pids(), pool_of, daemon.runs.output.dropped_by_pool())
        return Scrape(daemon.snapshot(samples={}), own(), pools)

    def _ready(self) -> Answer:
        state = self._daemon.state
        slots = [(pool, slot) for pool in state.pools.values() if not pool.removed for slot in pool.slots.values()]
        reasons = reasons_against(state, slots, self._daemon.now().mono, ready=True, with_output=False)
        if not reasons:
            return Answer(b"ready\n")
        more = len(reasons) - MOST_REASONS
        told = [*reasons[:MOST_REASONS], *([f"and {more} more"] if more > 0 else [])]
        return Answer(
            "".join(f"{each}\n" for each in told).encode(errors="replace"), HTTPStatus.SERVICE_UNAVAILABLE, TEXT
        )
