"""What a daemon answers at /metrics, /healthz and /readyz; all is drawn when somebody asks."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from fleetd.shell.exposition import exposed
from fleetd.shell.http_server import TEXT, Answer, Asked, HttpServer, refusal
from fleetd.shell.readiness import reasons_against
from fleetd.shell.usage import PoolUsage, own
from fleetd.views.metrics.metric import Scrape

if TYPE_CHECKING:
    from fleetd.shell.daemon import Daemon

MOST_REASONS = 100  # lines of /readyz


class Pages:
    """Those of one daemon."""

    def __init__(self, daemon: Daemon, usage: PoolUsage) -> None:
        self._daemon = daemon
        self._usage = usage

    def server(self) -> HttpServer:
        """One that answers with them."""
        return HttpServer(self._answer)

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
