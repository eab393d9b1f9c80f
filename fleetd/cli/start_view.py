"""`fleetd start --view`: the live view of a daemon that is this command's child, and ends with it."""

from __future__ import annotations

import ctypes
import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress

from fleetd.cli.live import can_be_live, watch
from fleetd.cli.waiting import shown
from fleetd.client.control import ControlClient, HungUpError
from fleetd.errors import ExitCode, FleetdError, NotFoundError, UsageError, WaitTimeoutError
from fleetd.shell.paths import Instance
from fleetd.shell.start_signals import DRAIN

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def check() -> None:
    """Raise UsageError where there is no terminal that can show it."""
    if not can_be_live():
        raise UsageError("--view needs a terminal that can show more than lines: leave it out, or set TERM")


def end_with(parent: int) -> None:
    """Have this process, the daemon to be, drain when its parent is gone: also by SIGKILL, and with the terminal."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, DRAIN, 0, 0, 0) != 0:
        raise FleetdError(f"--view: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        os._exit(1)


def run(places: Instance, child: int) -> int:
    """Show the view until it is left, then drain, or until the daemon ends; answers the daemon's exit code.

    SIGTERM leaves the view, too.  Once more, or Ctrl-C while it drains, ends jobs in hand.
    """
    client, terms, process = ControlClient(places.name, places.control), _Terms(), os.pidfd_open(child)
    signal.signal(signal.SIGTERM, terms.heard)
    with suppress(KeyboardInterrupt):  # before it took the keys
        _look_on(client, process, terms.heard)
    if _has_ended(process):
        print(f"fleetd start: the daemon has ended: {places.daemon_log} says why")
    else:
        print("fleetd start: draining: jobs in hand finish; Ctrl-C ends them now", flush=True)
        try:
            terms.is_draining = True
            _stop(client, child, now=terms.count > 1)
        except KeyboardInterrupt:
            _stop(client, child, now=True)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else ExitCode.FAILED  # ended by a signal


def _look_on(client: ControlClient, process: int, on_term: Callable[[], None]) -> None:
    """The view, until it is left or `process`, the pidfd of the daemon, has ended."""
    import asyncio  # noqa: PLC0415 - for who looks on only

    from fleetd.client.host_source import host_source  # noqa: PLC0415

    async def look_on() -> None:
        loop = asyncio.get_running_loop()
        view = loop.create_task(watch(host_source(client), on_term=on_term, leaving_drains=True))

        def leave() -> None:
            loop.remove_reader(process)  # it is told without end
            view.cancel()

        loop.add_reader(process, leave)
        try:
            with suppress(asyncio.CancelledError):
                await view
        finally:
            loop.remove_reader(process)

    asyncio.run(look_on())


def _has_ended(process: int) -> bool:
    return bool(select.select([process], [], [], 0)[0])


class _Terms:
    """The SIGTERMs that came: the first begins a drain, or lets one go on; another one is as Ctrl-C while it drains."""

    def __init__(self) -> None:
        self.count = 0
        self.is_draining = False

    def heard(self, *_signal: object) -> None:
        """One more."""
        self.count += 1
        if self.count > 1 and self.is_draining:
            raise KeyboardInterrupt


def _stop(client: ControlClient, child: int, *, now: bool) -> None:
    """Drain, or end now; what says so goes to a daemon that takes no commands, too, and to none but the child."""
    request = {"targets": [], "shutdown": True, "now": now}
    with suppress(NotFoundError, WaitTimeoutError):  # it has ended, its socket is gone, or it takes no connection
        if client.pid() == child:
            with shown(f"stop {client.instance}", quiet=False) as progress, suppress(HungUpError):
                client.call("stop", request, progress)
            return
    os.kill(child, signal.SIGTERM if now else DRAIN)  # no other has its pid: nobody has waited for it yet
