"""`fleetd start --view`: the live view of a daemon that is this command's child, and ends with it."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress

from fleetd.cli.live import can_be_live, live
from fleetd.cli.waiting import shown
from fleetd.client.control import ControlClient, HungUpError
from fleetd.errors import FleetdError, NotFoundError, UsageError
from fleetd.shell.paths import Instance

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def check() -> None:
    """Raise UsageError where there is no terminal that can show it."""
    if not can_be_live():
        raise UsageError("--view needs a terminal that can show more than lines: leave it out, or set TERM")


def end_with(parent: int) -> None:
    """Have this process, the daemon to be, drain when its parent is gone: also by SIGKILL, and with the terminal."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise FleetdError(f"--view: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        os._exit(1)


def run(places: Instance, child: int) -> int:
    """Show the view until it is left, then drain; answers the daemon's exit code."""
    from fleetd.client.host_source import host_source  # noqa: PLC0415 - asyncio, for who looks on only

    client = ControlClient(places.name, places.control)
    with suppress(KeyboardInterrupt):  # before it took the keys
        live(host_source(client))
    print("fleetd start: draining: jobs in hand finish; Ctrl-C ends them now", flush=True)
    try:
        _stop(client, child, now=False)
    except KeyboardInterrupt:
        _stop(client, child, now=True)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _stop(client: ControlClient, child: int, *, now: bool) -> None:
    """Drain, or end now; what says so goes to a daemon that takes no commands, too."""
    request = {"targets": [], "shutdown": True, "now": now}
    try:
        with shown(f"stop {client.instance}", quiet=False) as progress, suppress(HungUpError):
            client.call("stop", request, progress)
    except NotFoundError:  # it has ended, or its socket is gone
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
