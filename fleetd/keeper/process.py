"""What the keeper is as a process: a session of its own, deaf to signals, with as many descriptors as it may have."""

from __future__ import annotations

import os
import resource
import signal
import socket

from fleetd.keeper.births import Births, own_cgroup
from fleetd.keeper.service import Keeper

IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGUSR1, signal.SIGUSR2)


def serve(listener: int, soft_nofile: int) -> None:
    """Serve those that connect to `listener`; workers get this soft limit of descriptors."""
    if os.getsid(0) != os.getpid():
        os.setsid()
    os.set_inheritable(listener, False)  # noqa: FBT003 - positional only
    os.closerange(3, listener)
    os.closerange(listener + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    Keeper(socket.socket(fileno=listener), Births(own_cgroup(), soft_nofile)).serve()
