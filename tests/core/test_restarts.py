"""Pacing: instant planned exits without a job, at most 20 starts a second of a slot and 100 of all such slots."""

from __future__ import annotations

from collections.abc import Iterator

from fleetd.core.deadlines import next_deadline
from fleetd.core.effects import Announce, Effect, Spawn
from fleetd.core.events import Event
from fleetd.core.facts import Kind
from tests.support.history import Host, pool_spec


class Spinner(Host):
    """A host whose workers all end at once with exit code 0."""

    starts: dict[int, list[float]]
    spinning: int

    def spin(self, until: float, limit: int = 100_000) -> None:
        for _ in range(limit):
            for name in [self.names[run] for run in self.state.runs]:
                self.play(f"{self.now} exit {name} 0")
            due = next_deadline(self.state)
            if self.state.runs:
                continue
            if due is None or due > until:
                return
            self.play(f"{due} wait")
        raise AssertionError("the starts are not paced")

    def _perform(self, effect: Effect, prefix: str) -> Iterator[Event]:
        if isinstance(effect, Spawn):
            self.starts.setdefault(effect.slot, []).append(self.now)
        if isinstance(effect, Announce) and effect.fact.kind is Kind.WORKER_SPINNING:
            self.spinning += 1
        return super()._perform(effect, prefix)


def spun(numprocs: int, seconds: float) -> Spinner:
    host = Spinner({"m": pool_spec("m", {"numprocs": numprocs, "reports-jobs": True})})
    host.starts, host.spinning = {}, 0
    host.play("0 files")
    host.spin(seconds)
    return host


def most_in_a_second(starts: list[float]) -> int:
    ordered = sorted(starts)
    return max(sum(1 for at in ordered if begin <= at < begin + 1 - 1e-6) for begin in ordered)


def test_a_slot_alone() -> None:
    host = spun(1, 3.0)
    assert host.starts[0][:20] == [0.0] * 20
    paced = host.starts[0][20:]
    assert most_in_a_second(paced) == 20
    assert len(paced) >= 58
    assert host.spinning == 1


def test_many_slots_together() -> None:
    host = spun(30, 3.0)
    paced = [at for starts in host.starts.values() for at in starts[20:]]
    assert most_in_a_second(paced) == 100
    assert all(most_in_a_second(starts[20:]) <= 20 for starts in host.starts.values())
    assert min(len(starts) for starts in host.starts.values()) >= 28, "one slot is starved by the others"
    assert host.spinning == 30


def test_a_job_or_a_long_life_ends_the_pacing_and_a_new_row_is_told_again() -> None:
    host = spun(1, 0.5)
    name = f"m:0.{len(host.names)}"
    host.play("0.9 wait")
    name = host.names[next(iter(host.state.runs))]
    host.play(f"0.95 job {name} started")
    host.play(f"0.95 job {name} done")
    assert host.play(f"0.95 exit {name} 0").startswith("ended m:0 exit, start m:0.")
    host.spin(2.0)
    assert host.spinning == 2
