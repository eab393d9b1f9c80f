"""Being watched: the verb `watch`, a picture a second of which only what has changed is sent.

However many workers there are, a view costs the daemon less than a hundredth of a core: what took long is not done
again soon, and where nothing was decided no picture is made.
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
AT_THE_LATEST = 5.0  # … where nothing was decided: ages and rates go on by themselves
OF_PICTURES, OF_MEASURES = 200, 400  # what took a second is done again after so many

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
        watcher, pace = _Watcher(self._daemon, args.get("measured", ())), _Pace(OF_PICTURES)
        while not self._daemon.finished.is_set():
            if pace.is_due():
                pace.begin()
                await reply.item(watcher.news())
                pace.end()
            else:
                await reply.item({})  # a sign of life
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._daemon.finished.wait()
        return {}


class _Pace:
    """Keeps what is done again and again to its share of a core."""

    def __init__(self, rest: int) -> None:
        self._rest = rest
        self._due = self._began = 0.0

    def is_due(self) -> bool:
        return time.monotonic() >= self._due

    def begin(self) -> None:
        self._began = time.thread_time()

    def end(self) -> None:
        self._due = time.monotonic() + (time.thread_time() - self._began) * self._rest


class _Watcher:
    """What one client is told."""

    def __init__(self, daemon: Daemon, measured: Iterable[str]) -> None:
        self._daemon = daemon
        self._measures = _Measures(daemon, measured)
        self._teller = Teller()
        self._samples: Mapping[str, Sample] = {}
        self._turns = -1
        self._looked_at = float("-inf")

    def news(self) -> dict[str, Any]:
        """What has changed since it was last asked."""
        before, self._samples, now = self._samples, self._measures.now(), time.monotonic()
        is_late = now - self._looked_at >= AT_THE_LATEST
        if not is_late and self._daemon.turns == self._turns and before == self._samples:
            return {}
        self._turns, self._looked_at = self._daemon.turns, now
        return self._teller.news(self._daemon.snapshot(samples=self._samples))


class _Measures:
    """Of the workers of some pools; of the others, what costs nothing."""

    def __init__(self, daemon: Daemon, pools: Iterable[str]) -> None:
        self._daemon = daemon
        self._pools = frozenset(pools)
        self._samples = Samples()
        self._measured: Mapping[str, tuple[int, float | None]] = {}
        self._pace = _Pace(OF_MEASURES)

    def now(self) -> dict[str, Sample]:
        """The samples by run, of those that have something to tell."""
        pids, output = self._daemon.runs.pids(), self._daemon.runs.output
        if self._pools and self._pace.is_due():
            self._pace.begin()
            self._measured = self._samples.measure({run: pid for run, pid in pids.items() if self._is_wanted(run)})
            self._pace.end()
        return {
            run: self._sample(run, dropped) for run in pids if (dropped := output.dropped(run)) or run in self._measured
        }

    def _sample(self, run: str, dropped: int) -> Sample:
        resident, cpu = self._measured.get(run, (None, None))
        return Sample(resident, cpu, dropped)

    def _is_wanted(self, run: str) -> bool:
        known = self._daemon.state.runs.get(run)
        return known is not None and known.pool in self._pools
