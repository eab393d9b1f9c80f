"""`python -m tests.bench.job_lines`: how many job lines of each framework one core reads in a second.

The lines are those of tests/frameworks/lines that tell of jobs, over and over, in chunks of 64 KiB as the daemon reads
them.  CPU time, so that other programs do not count; the best of several rounds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from fleetd.core.spec import LineMeaning
from fleetd.frameworks.framework import builtin
from fleetd.frameworks.lines import Patterns, Scanner
from tests.support.recorded_lines import RECORDED

CHUNK = 1 << 16
NAMES = tuple(sorted({line.framework for line in RECORDED}))


def lines_per_second(name: str, *, lines: int, rounds: int) -> float:
    """Lines of CPU-time seconds; every one of them makes a report, or AssertionError is raised."""
    framework = builtin(name)
    assert framework is not None
    patterns = Patterns(framework.patterns)
    told = [line for line in RECORDED if line.framework == name and line.means is not None]
    of_jobs = [
        line.text.encode() + b"\n" for line in told if line.means and line.means.meaning is not LineMeaning.READY
    ]
    text = b"".join(of_jobs) * (lines // len(of_jobs))
    best = 0.0
    for _ in range(rounds):
        scanner = Scanner(patterns)
        began = time.process_time()
        reports = sum(len(scanner.feed(chunk)) for chunk in _chunks(text))
        best = max(best, reports / (time.process_time() - began))
        assert reports == text.count(b"\n"), f"{name}: {reports} reports"
    return best


def _chunks(text: bytes) -> Iterator[bytes]:
    return (text[at : at + CHUNK] for at in range(0, len(text), CHUNK))


def main() -> None:
    """A table in Markdown."""
    print("| framework | job lines a second |\n|---|---|")
    for name in NAMES:
        print(f"| {name} | {lines_per_second(name, lines=100_000, rounds=5):,.0f} |")


if __name__ == "__main__":
    main()
