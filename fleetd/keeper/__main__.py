"""The keeper as a program: it becomes what its workers' orphans go to, and serves."""

from __future__ import annotations

import os
import sys

PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


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
    # Isolated from the environment, it finds its own package by where it stands.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from fleetd.keeper import process  # noqa: PLC0415 - what it needs is not loaded to be thrown away by the exec

    process.serve(listener, soft)


if __name__ == "__main__":
    main()
