"""What every job of the tests' Python applications does, and the line that it leaves in the job log."""

from __future__ import annotations

import os
import time
from pathlib import Path


def work(job: str, worker: int, release: str, seconds: float, fail: bool, gate: str) -> str:
    """Works for `seconds`, and until the file `gate` is there, then fails if it was told to."""
    write("started", job, worker, release)
    time.sleep(seconds)
    while gate and not Path(gate).exists():
        time.sleep(0.01)
    if fail:
        write("failed", job, worker, release)
        raise RuntimeError(f"transcode failed on demand: {job}")
    write("done", job, worker, release)
    return job


def write(what: str, job: str, worker: int, release: str) -> None:
    """One line, one write, appended: whole lines whoever else writes."""
    descriptor = os.open(os.environ["JOB_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, f"{what} {job} {worker} {release} {time.time()}\n".encode())
    finally:
        os.close(descriptor)
