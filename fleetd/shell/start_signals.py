"""Signals that come while the daemon starts wait until it can obey them.

Without a handler PID 1 of a container never gets them, and another process would end, with workers that it has just
taken over.
"""

from __future__ import annotations

import signal

DRAIN = signal.SIGRTMIN  # only ever begins a drain, however often it comes: a second SIGTERM ends jobs in hand
OBEYED = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, DRAIN})


def hold_signals() -> None:
    """Keep them until `release_signals`; for a process that is to be the daemon.  Keeper and workers hold none."""
    signal.pthread_sigmask(signal.SIG_BLOCK, OBEYED)


def release_signals() -> None:
    """There are handlers: take what came meanwhile."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, OBEYED)
