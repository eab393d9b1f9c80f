"""The keeper as a program."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys

if __name__ == "__main__":  # isolated from the environment, it finds its own package by where it stands
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from fleetd.keeper.births import Births, own_cgroup
from fleetd.keeper.service import Keeper

PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGUSR1, signal.SIGUSR2)


def become_subreaper() -> None:
    """Orphans come here instead of to PID 1.  ctypes costs memory, and the setting survives an exec: so start anew."""
    import ctypes  # noqa: PLC0415

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    os.execv(sys.executable, [sys.executable, "-I", "-S", __file__, *sys.argv[1:], "reaps"])  # noqa: S606


def main() -> None:
    """Serve; arguments: the listening socket's descriptor, the instance for `ps`, a worker's soft descriptor limit."""
    listener, soft = int(sys.argv[1]), int(sys.argv[3])
    if sys.argv[4:] != ["reaps"]:
        os.set_inheritable(listener, True)  # noqa: FBT003 - positional only
        become_subreaper()
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
    Keeper(socket.socket(fileno=listener), Births(own_cgroup(), soft)).serve()


if __name__ == "__main__":
    main()
