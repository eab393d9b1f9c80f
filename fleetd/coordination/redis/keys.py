"""Every key of a fleet in Redis.

All start with `fleetd:{NAME}:`; the braces keep them in one Cluster slot, so that a script may use all of them.

| key | type | lives for |
|---|---|---|
| `restart-epoch`, `…:pool:P`, `…:host:H`, `…:host:H:pool:P` | string | ever: epochs only grow |
| `restart-epoch:last` | string | ever: the greatest number that was given out |
| `rollout:EPOCH` | hash | until 100 newer ones are kept |
| `rollouts` | sorted set: all kept epochs | ever: at most 100 |
| `rollouts:open` | set: epochs of those that run or are halted | ever: a part of `rollouts` |
| `members` | sorted set: HOST/INSTANCE, by when its lease ends | ever: members go after a day without a beat |
| `roster` | hash: HOST/INSTANCE to a few facts as JSON, so that no script reads whole documents | ever: as `members` |
| `member:HOST/INSTANCE` | string: what the member published, as JSON | 10 s from each beat |
| `turns` | sorted set: HOST/INSTANCE, by when its turn ends | ever: each beat that wants one drops those that ended |
| `paused` | hash: "host:H", "pool:P", "host:H:pool:P" | until resumed |
| `incarnation` | string: random, of this life of the database | ever: its loss tells that pauses were lost, too |
| `request:ID` | string: the epoch that a request got, so that it is applied once | a day |
| `events` | stream | ever: about the last 10,000 |
| `minute:UNIXMINUTE` | hash: MEMBER LIFE POOL QUEUE to what ended in that minute, as JSON | 25 hours |
| `alerts` | hash: ALERT WORD POOL DETAIL, to who has that incident, as JSON | until minutes after it is over |
| `wake` | channel | |

Fields of a rollout beside those of the contract: `resumes`, `superseded_by`, `halted_by`, `ended`, `remaining`: how
many of its hosts are not done; `asked_max_parallel_hosts`: what the requester set; `request`: its id; `live_members`:
for how many `max_parallel_hosts` was worked out where a report began it and nobody set it.
"""

from __future__ import annotations

from collections.abc import Iterable

from fleetd.core.epochs import EpochKey


class Keys:
    """The keys of one fleet."""

    def __init__(self, fleet: str) -> None:
        self.start = f"fleetd:{{{fleet}}}:"
        self.last = f"{self.start}restart-epoch:last"
        self.rollout_start = f"{self.start}rollout:"
        self.rollouts = f"{self.start}rollouts"
        self.open = f"{self.start}rollouts:open"
        self.members = f"{self.start}members"
        self.roster = f"{self.start}roster"
        self.turns = f"{self.start}turns"
        self.paused = f"{self.start}paused"
        self.incarnation = f"{self.start}incarnation"
        self.events = f"{self.start}events"
        self.alerts = f"{self.start}alerts"
        self.wake = f"{self.start}wake"

    def epoch(self, text: str) -> str:
        """Of an epoch, by its EpochKey's text."""
        return f"{self.start}restart-epoch:{text}" if text else f"{self.start}restart-epoch"

    def epochs(self, keys: Iterable[EpochKey]) -> list[str]:
        """Of several epochs."""
        return [self.epoch(str(key)) for key in keys]

    def rollout(self, epoch: int) -> str:
        """Of a rollout."""
        return f"{self.rollout_start}{epoch}"

    def member(self, name: str) -> str:
        """Of what HOST/INSTANCE published."""
        return f"{self.start}member:{name}"

    def minute(self, minute: int) -> str:
        """Of the jobs of a minute since 1970."""
        return f"{self.start}minute:{minute}"

    def request(self, identity: str) -> str:
        """Of what a request got."""
        return f"{self.start}request:{identity}"
