"""Replacing the daemon by the version that is installed now, in the same process (decision 12).

First the installed version checks itself in a child: what can be known to go wrong goes wrong there, and this daemon
goes on.  Then no request is begun and no signal taken any more, what is decided is written down, and the process
becomes the new daemon, which takes over the workers from the keeper as after a crash.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fleetd import __version__, keeper
from fleetd.core.actions import NOW_TIMEOUT
from fleetd.errors import FleetdError
from fleetd.shell import handover
from fleetd.shell.control import ControlServer
from fleetd.shell.conversation import Reply, Verb
from fleetd.shell.handover import Handover, Tenure
from fleetd.shell.reaper import Reaper
from fleetd.shell.remaining import Args
from fleetd.shell.self_check import FailedError, Verdict, self_check
from fleetd.shell.waiting import Waiting

if TYPE_CHECKING:
    from fleetd.shell.daemon import Daemon

SETTLE = 10.0  # seconds in which killings that are under way may end

_log = logging.getLogger("fleetd")


class Upgrades:
    """The verb, and what follows from it: the end of this daemon and the beginning of the next one."""

    def __init__(self, daemon: Daemon, reaper: Reaper, tenure: Tenure) -> None:
        self.tenure = tenure
        self._daemon = daemon
        self._reaper = reaper
        self._waiting = Waiting(daemon)
        self._checking: asyncio.Task[None] | None = None
        self._is_due = asyncio.Event()
        # A signal that a thread took would be lost with the thread.
        threads = ThreadPoolExecutor(thread_name_prefix="asyncio", initializer=handover.block_signals)
        asyncio.get_running_loop().set_default_executor(threads)

    def table(self) -> dict[str, Verb]:
        """Every verb by name."""
        return {"upgrade": self._upgrade, "upgraded": self._upgraded}

    async def until_over(self, control: ControlServer) -> None:
        """Wait until the daemon has finished.  Does not return when another one takes its place."""
        finished = asyncio.ensure_future(self._daemon.finished.wait())
        while not self._daemon.finished.is_set():
            due = asyncio.ensure_future(self._is_due.wait())
            await asyncio.wait({finished, due}, return_when=asyncio.FIRST_COMPLETED)
            due.cancel()
            if self._is_due.is_set() and not self._daemon.finished.is_set():
                self._is_due.clear()
                await self._hand_over(control)
        self._call_off()

    # -- the verbs ---------------------------------------------------------------------------------------------------

    async def _upgrade(self, _args: Args, reply: Reply) -> Any:
        """Have the installed version checked, and give it this daemon's place; the next daemon answers."""
        if self._daemon.state.is_stopping:
            raise FleetdError("the daemon is stopping: it is not replaced; start it again when it has ended")
        if self._checking is not None:
            raise FleetdError("the daemon is being replaced already: see `fleetd status` for its version")
        reply.goes_on("upgraded", lambda: {"from": __version__})
        checking = self._checking = asyncio.ensure_future(self._check())  # who hangs up ends the waiting only
        try:
            await asyncio.shield(checking)
        except asyncio.CancelledError:
            if checking.cancelled():
                raise FleetdError("the daemon was told to stop meanwhile: it was not replaced") from None
            raise

    async def _check(self) -> None:
        try:
            _must_fit(await self_check(self._reaper), str(self._daemon.places.runtime))
            self._is_due.set()
            await asyncio.Event().wait()  # for what comes after this daemon, or for being called off
        except FailedError as error:
            _log.error("the installed version cannot take over: %s", error)
            raise FleetdError(
                f"the installed version cannot take over, and fleetd {__version__} goes on: {error}"
            ) from None
        finally:
            self._checking = None

    async def _upgraded(self, args: Args, reply: Reply) -> Any:
        """Wait until this daemon, which has taken the place of another one, has every pool healthy."""
        reply.goes_on("upgraded", lambda: args)
        done = {"from": args["from"], "to": __version__, "pid": self._daemon.identity.pid}
        try:
            await self._waiting.until_up(self._waiting.all_pools(), reply)
        except FleetdError as error:
            raise FleetdError(f"{args['from']} was replaced by {__version__}, but: {error}") from None
        return done

    # -- the end of this daemon --------------------------------------------------------------------------------------

    async def _hand_over(self, control: ControlServer) -> None:
        await self._settled()
        mask = handover.block_signals()
        await control.hold()
        if await self._is_to_stop():  # by a TERM from before: nothing tells the next daemon of it
            await control.release()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self._call_off()
            return
        _log.info("fleetd %s: the installed version takes over", __version__)
        self._daemon.service.reloading("being replaced by the installed version")  # READY=1 is for that to say
        await self._daemon.pass_on()
        left = Handover(
            version=__version__,
            runtime=str(self._daemon.places.runtime),
            lock=self.tenure.locks.runtime,
            state_lock=self.tenure.locks.state,
            detached=self.tenure.detached,
            mask=mask,
            control=control.left(),
        )
        self._daemon.runs.close()
        try:
            handover.give(left)
        except OSError as error:  # all is written down, and the keeper goes on: a start takes over
            raise FleetdError(
                f"the installed version cannot be executed: {error.strerror}; start the daemon"
            ) from error

    async def _is_to_stop(self) -> bool:
        """Whether this daemon stops, when all that came before is decided; if not, its last beat is over."""
        heartbeat = self._daemon.heartbeat
        if self._stops() or heartbeat is None:
            return self._stops()
        await heartbeat.hold()
        if self._stops():
            await heartbeat.begin()
        return self._stops()

    def _stops(self) -> bool:
        self._daemon.decide_all()
        return self._daemon.state.is_stopping

    async def _settled(self) -> None:
        """Wait for killings: a new daemon would begin the time to stop anew."""
        until = time.monotonic() + SETTLE
        while time.monotonic() < until and self._kills_soon():
            await asyncio.wait({asyncio.ensure_future(self._daemon.changed())}, timeout=until - time.monotonic())
        with suppress(TimeoutError):  # what is left is for the next daemon, as after a crash
            async with asyncio.timeout(until - time.monotonic()):
                await self._daemon.runs.settle()

    def _kills_soon(self) -> bool:
        soon = time.monotonic() + NOW_TIMEOUT
        return any(run.kill_at is not None and run.kill_at <= soon for run in self._daemon.state.runs.values())

    def _call_off(self) -> None:
        if self._checking is not None:
            self._checking.cancel()


def _must_fit(verdict: Verdict, runtime: str) -> None:
    """Raises FailedError where the installed version could not go on with what this one has."""
    if keeper.PROTOCOL not in verdict.keeper:
        raise FailedError(
            f"fleetd {verdict.version} does not speak protocol {keeper.PROTOCOL}, which the keeper of the workers does"
        )
    if handover.FORMAT not in verdict.handover:
        raise FailedError(f"fleetd {verdict.version} cannot replace this version in place: stop and start the daemon")
    if verdict.runtime != runtime:
        raise FailedError(handover.moved(runtime, verdict.runtime))
