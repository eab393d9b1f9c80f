"""What of the workers' numbered lines came to the logs: each line once and in order, or at least none missing."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.following import Follower
from tests.soak.pools import BY_NAME, Kind

_LINE = re.compile(rb"(?:^| |\")([0-9a-f]{32}) (\d+) (\w+)")


@dataclass(slots=True)
class Account:
    """The lines of one run."""

    last: int = 0
    repeated: int = 0
    done: int = 0  # lines that tell so, repeated ones too
    failed: int = 0
    wrong: list[str] = field(default_factory=list)


class Accounts:
    """All lines of all runs of an instance."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._logs: dict[str, Follower] = {}
        self._of: defaultdict[str, Account] = defaultdict(Account)
        self.strange: list[str] = []  # lines that no worker wrote like this
        self.lines = 0

    def read(self) -> None:
        """Take in what was written since."""
        for worker in sorted({path.name.partition(".")[0] for path in self._directory.glob("*-*.log*")}):
            kind, name = BY_NAME.get(worker.rpartition("-")[0]), f"{worker}.log"
            if kind is not None:
                log = self._logs.setdefault(name, Follower(self._directory / name))
                for line in log.lines():
                    self._take(kind, name, line)

    def close(self, run: str) -> Account:
        """What there is of a run that is over; it is forgotten."""
        return self._of.pop(run, Account())

    def unfinished(self) -> dict[str, bytes]:
        """Logs that end in the middle of a line."""
        return {name: log.unfinished for name, log in self._logs.items() if log.unfinished}

    def _take(self, kind: Kind, log: str, line: bytes) -> None:
        found = _LINE.findall(line)
        if len(found) != 1:
            self.strange.append(f"{log}: {line[:200]!r}")
            return
        run, text, word = found[0]
        self.lines += 1
        account, number = self._of[run.decode()], int(text)
        account.done += word == b"done"
        account.failed += word == b"failed"
        if number > account.last + 1:
            account.wrong.append(f"{log}: after line {account.last} comes {number}")
        elif number <= account.last:
            account.repeated += 1
            if kind.is_raw:
                account.wrong.append(f"{log}: line {number} comes again after {account.last}")
        account.last = max(account.last, number)
