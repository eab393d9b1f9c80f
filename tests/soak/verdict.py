"""Whether what was told of a run that is over is what happened to it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.soak.actions import Wishes
from tests.soak.ledger import Entry
from tests.soak.lines import Account
from tests.soak.pools import BY_NAME

NOT_LOOKED_AT = 0.3  # seconds after an end for which it may be that nobody has looked at what was left
OF_A_START = 0.6  # of the time that a daemon's start takes: the same on a machine that has much else to do
ASKED = {"restart", "stop", "scale"}
Fact = dict[str, Any]


@dataclass(slots=True)
class Alone:
    """From when to when neither the daemon nor the keeper lived; since `begin` nobody may have looked."""

    begin: float
    struck: float
    end: float = math.inf


@dataclass(slots=True)
class Circumstances:
    """What the soak itself did to workers."""

    wishes: Wishes
    killed: set[str] = field(default_factory=set)  # runs
    alone: list[Alone] = field(default_factory=list)

    def both_killed(self, start: float) -> None:
        """From now on what a worker leaves when it dies is held by nobody, and what nobody has looked at is lost.

        `start` is how many seconds a daemon's start takes now.
        """
        now = time.monotonic()
        self.alone.append(Alone(now - max(NOT_LOOKED_AT, OF_A_START * start), now))

    def found(self, at: float) -> None:
        """Until then, when a daemon had taken over; the one before the strike may have started a moment before it."""
        for window in self.alone:
            if window.struck < at:
                window.end = min(window.end, at)

    def was_alone(self, entry: Entry) -> bool:
        """Whether this run had nobody to hold what it left when it ended, or not long enough to be looked at."""
        at = entry.ended_at or entry.last_at
        return any(window.begin <= at <= window.end for window in self.alone)


def of_exit(entry: Entry, told: Sequence[Fact], around: Circumstances) -> list[str]:
    """What is wrong with what was told of the exit of a run."""
    if not told:  # the daemon may not even have heard of its birth
        return [] if around.was_alone(entry) else ["its exit was never told"]
    wrong = []
    alone = around.was_alone(entry)
    ways = {(fact["reason"], fact["code"], fact["signal"]) for fact in told}
    known = {way for way in ways if way[1:] != (None, None)}
    if len(known if alone else ways) > 1:  # who told it first, and knew how, may have been killed before it was written
        wrong.append(f"its exit was told in several ways: {ways}")
    if entry.was_cut:
        wrong.append("nobody read its output any more")
    for reason, code, signal in ways:
        if not ((code is None and signal is None and alone) or _is_how(entry, code, signal, around)):
            wrong.append(f"told as code {code}, signal {signal}, and it left with {entry.code}")
        if not _is_why(entry, reason, around, alone=alone):
            wrong.append(f"told as {reason}")
    return [f"{text}: {told[0]['text'] if 'text' in told[0] else told[0]['message']}" for text in wrong]


def _is_how(entry: Entry, code: int | None, signal: int | None, around: Circumstances) -> bool:
    if entry.run in around.killed and signal == 9:
        return True
    if entry.code is not None:
        return code == entry.code and signal is None
    if signal == 9:  # it was given time, and used it up
        return bool(entry.term_at)
    return signal == 15 and not entry.armed


def _is_why(entry: Entry, reason: str, around: Circumstances, *, alone: bool) -> bool:
    kind = BY_NAME[entry.pool]
    ended = max(entry.term_at, entry.ended_at, entry.last_at) or math.inf  # it had not come so far
    if reason in ASKED:
        return around.wishes.was_asked(entry.pool, reason, until=ended)
    if reason == "max-jobs":
        return kind.max_jobs is not None and entry.jobs >= kind.max_jobs
    if entry.run in around.killed:
        return reason == "signal" or (reason == "exit" and (entry.code is not None or alone))
    if reason == "exit":  # of its own
        return not entry.term_at
    return False


def of_lines(entry: Entry, account: Account, told: Sequence[Fact], around: Circumstances) -> list[str]:
    """What is wrong with its lines."""
    wrong = list(account.wrong)
    least = 0 if around.was_alone(entry) else entry.written
    if not least <= account.last <= entry.begun:
        wrong.append(f"its log ends with line {account.last}, and it wrote {entry.written} ({entry.begun} begun)")
    if entry.dropped:
        wrong.append(f"{entry.dropped} of its messages were dropped")
    return wrong


def of_jobs(entry: Entry, told: Sequence[Fact], around: Circumstances) -> list[str]:
    """What is wrong with the count of its jobs, where a run has a count of its own: on its socket."""
    if not BY_NAME[entry.pool].by_socket or around.was_alone(entry):
        return []
    wrong = []
    for fact in told:
        done, failed = fact["jobs_done"], fact["jobs_failed"]
        least_done, least_failed = (
            (0, 0) if entry.code is None else (entry.done, entry.failed)
        )  # not sent: it was killed
        if not (least_done <= done <= entry.done_begun and least_failed <= failed <= entry.failed_begun):
            jobs = f"{entry.done} jobs and failed {entry.failed} times"
            wrong.append(f"counted {done} done and {failed} failed, and it did {jobs}")
    return wrong


def jobs_done(entry: Entry, account: Account, told: Sequence[Fact], around: Circumstances) -> tuple[int, int]:
    """How many jobs of a run may be counted, at least and at most.

    What a formatted log has twice may be counted twice; what a killed worker had not sent, or nobody kept, may be lost.
    """
    kind = BY_NAME[entry.pool]
    most = entry.done_begun if kind.is_raw or kind.by_socket else max(entry.done_begun, account.done)
    is_lost = around.was_alone(entry) or (kind.by_socket and entry.code is None)
    return 0 if is_lost else entry.done, most
