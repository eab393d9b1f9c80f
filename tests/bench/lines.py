"""The numbered lines that workers write, and the proof that all of them were captured whole and once.

A worker's line has 100 bytes, "w=000007 s=0000000042 xxx…": the worker's number on the board, the number of the line,
padding.  Supervisors may put something before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

LENGTH = 100  # with the newline
_BODY = LENGTH - 1
_PADDING = b"x" * (_BODY - len("w=000007 s=0000000042 "))
_LONGEST_PREFIX = 80
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of lines: of those written, so many never came, came twice; and so many came in pieces."""

    lost: int
    torn: int
    doubled: int


class Ledger:
    """Which lines came.  `written` says how many lines each worker wrote."""

    def __init__(self, written: Mapping[int, int]) -> None:
        self._seen = {worker: bytearray(count) for worker, count in written.items()}
        self._torn = self._doubled = 0

    def read(self, log: Iterable[bytes]) -> None:
        """Take in one log, in chunks of any size."""
        rest = b""
        for chunk in log:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take(line)
        if rest:
            self._take(rest)

    def verdict(self) -> Verdict:
        """What is known after all logs were read."""
        return Verdict(sum(seen.count(0) for seen in self._seen.values()), self._torn, self._doubled)

    def _take(self, line: bytes) -> None:
        number = numbers(line)
        seen = self._seen.get(number[0]) if number is not None else None
        if number is None or seen is None or number[1] >= len(seen):
            self._torn += 1
        elif seen[number[1]]:
            self._doubled += 1
        else:
            seen[number[1]] = 1


def numbers(line: bytes) -> tuple[int, int] | None:
    """The worker and the number of a whole line without its newline, whatever stands before it; None: it is torn."""
    body = line[-_BODY:]
    if (
        len(body) != _BODY
        or len(line) > _BODY + _LONGEST_PREFIX
        or not body.startswith(b"w=")
        or not body.endswith(_PADDING)
        or body[8:11] != b" s="
        or body[21:22] != b" "
    ):
        return None
    worker, number = body[2:8], body[11:21]
    return (int(worker), int(number)) if worker.isdigit() and number.isdigit() else None


def verify(logs: Iterable[Iterable[Path]], written: Mapping[int, int]) -> Verdict:
    """The verdict on logs, each of which may be several files, the oldest first."""
    ledger = Ledger(written)
    for files in logs:
        ledger.read(chunks(files))
    return ledger.verdict()


def chunks(files: Iterable[Path]) -> Iterator[bytes]:
    """What the files hold, one after the other."""
    for path in files:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
