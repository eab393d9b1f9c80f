"""What workers wrote down about themselves, one file a run (`programs/writer.py`)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from tests.support.crash import started_at

FIELDS = 16
_NUMBERS = struct.Struct(f"<{FIELDS}q")


@dataclass(frozen=True, slots=True)
class Entry:
    """What one run did, as far as it knew.

    Times are monotonic seconds, which no correction of the clock changes; 0 where it did not happen.
    """

    pool: str
    slot: int
    run: str
    pid: int
    armed: float  # it heeds TERM since
    begun: int  # lines: it was about to write this one
    written: int  # lines
    done_begun: int  # jobs: it was about to tell of this one's end
    done: int
    failed_begun: int
    failed: int
    term_at: float
    code: int | None  # it was about to exit with
    ended_at: float
    child: int  # pid
    dropped: int  # messages on the notify socket
    was_cut: bool  # nobody read its output any more
    last_at: float  # it lived, as far as it came to say so
    started: int  # in clock ticks since boot

    @property
    def lives(self) -> bool:
        """Whether it still runs: pids are used again within minutes here."""
        return started_at(self.pid) == self.started

    @property
    def worker(self) -> str:
        """POOL:SLOT."""
        return f"{self.pool}:{self.slot}"

    @property
    def jobs(self) -> int:
        """How many came to their end."""
        return self.done + self.failed


class Ledgers:
    """The directory of them; those that were settled are removed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()

    def names(self) -> list[str]:
        """The files of runs that are not settled."""
        return [file.name for file in self._folder.iterdir() if file.suffix != ".new" and "doubled" not in file.name]

    def doubled(self) -> list[str]:
        """The files of second processes for a run."""
        return [file.name for file in self._folder.iterdir() if "doubled" in file.name]

    def read(self, name: str) -> Entry:
        """One run's."""
        pool, slot, run = name.rsplit(".", 2)
        (
            pid,
            armed,
            begun,
            written,
            done_b,
            done,
            failed_b,
            failed,
            term,
            left,
            ended,
            child,
            dropped,
            cut,
            last,
            started,
        ) = _NUMBERS.unpack_from((self._folder / name).read_bytes())
        code = left - 1 if left else None
        return Entry(pool, int(slot), run, pid, armed / 1e9, begun, written, done_b, done, failed_b, failed, term / 1e9,
                     code, ended / 1e9, child, dropped, bool(cut), last / 1e9, started)  # fmt: skip

    def all(self) -> list[Entry]:
        """Every run that is not settled."""
        return [self.read(name) for name in self.names()]

    def settle(self, entry: Entry) -> None:
        """Everything about this run was checked."""
        (self._folder / f"{entry.pool}.{entry.slot}.{entry.run}").unlink()
