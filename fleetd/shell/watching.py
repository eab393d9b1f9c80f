"""Being watched: the verb `watch`, a picture a second of which only what has changed is sent.

Whatever a view asks for, it costs the daemon little: of an interval, one part in SHARE goes into measuring processes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fleetd.shell.conversation import Reply, Verb
from fleetd.shell.samples import Samples
from fleetd.views.picture_news import Teller
from fleetd.views.snapshot import Sample

if TYPE_CHECKING:
    from fleetd.shell.daemon import Daemon

EVERY = 1.0  # seconds between two pictures
SHARE = 250  # a measurement that takes 4 ms is not made again for a second

Args = Mapping[str, Any]


class Watching:
    """The verb."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def table(self) -> dict[str, Verb]:
        """Every verb by name."""
        return {"watch": self._watch}

    async def _watch(self, args: Args, reply: Reply) -> Any:
        """News of the picture (`views.picture_news`), until the daemon has ended; `measured` names pools."""
        reply.goes_on("watch", lambda: args)
        teller, measures = Teller(), _Measures(self._daemon, args.get("measured", ()))
        while not self._daemon.finished.is_set():
            await reply.item(teller.news(self._daemon.snapshot(samples=measures.now())))
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._daemon.finished.wait()
        return {}


class _Measures:
    """Of the workers of some pools, for one who watches; of the others, what costs nothing."""

    def __init__(self, daemon: Daemon, pools: Iterable[str]) -> None:
        self._daemon = daemon
        self._pools = frozenset(pools)
        self._samples = Samples()
        self._measured: Mapping[str, tuple[int, float | None]] = {}
        self._again_at = 0.0

    def now(self) -> dict[str, Sample]:
        """The samples by run."""
        pids, output = self._daemon.runs.pids(), self._daemon.runs.output
        if self._pools and (began := time.monotonic()) >= self._again_at:
            self._measured = self._samples.measure({run: pid for run, pid in pids.items() if self._is_wanted(run)})
            self._again_at = began + (time.monotonic() - began) * SHARE
        return {run: self._sample(run, output.dropped(run)) for run in pids}

    def _sample(self, run: str, dropped: int) -> Sample:
        rss, cpu = self._measured.get(run, (None, None))
        return Sample(rss, cpu, dropped)

    def _is_wanted(self, run: str) -> bool:
        known = self._daemon.state.runs.get(run)
        return known is not None and known.pool in self._pools
