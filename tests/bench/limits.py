"""What every contender is given alike."""

from __future__ import annotations

import resource


def raise_open_files() -> int:
    """Let this process and all that it starts open as many files as the machine allows it; returns how many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
