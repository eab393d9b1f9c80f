"""The jobs of the tests' RQ application; each leaves a line in the job log when it starts, ends or fails."""

from __future__ import annotations

import os
import time
from pathlib import Path


def transcode(job: str, seconds: float = 0.0, fail: bool = False, gate: str = "") -> str:
    """Works for `seconds`, and until the file `gate` is there, then fails if it was told to."""
    log("started", job)
    time.sleep(seconds)
    while gate and not Path(gate).exists():
        time.sleep(0.01)
    if fail:
        log("failed", job)
        raise RuntimeError(f"transcode failed on demand: {job}")
    log("done", job)
    return job


def log(what: str, job: str) -> None:
    """One line, one write, appended: whole lines whoever else writes.  The parent of RQ's work horse is the worker."""
    line = f"{what} {job} {os.getppid()} {Path(__file__).resolve().parent.name} {time.time()}\n"
    descriptor = os.open(os.environ["JOB_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)
