"""What the pools of an instance take of the host, at most."""

from __future__ import annotations

from fleetd.core.capacity import log_room, memory_allowed, most_runs, nofile_asked
from fleetd.core.spec import FleetSpec, Launch, LogSpec, LogTarget, PoolSpec


def pool(name: str, *limits: tuple[str, int], **keys: object) -> PoolSpec:
    return PoolSpec(name, Launch(("true",), limits=limits), **keys)  # type: ignore[arg-type]


def spec(*pools: PoolSpec) -> FleetSpec:
    return FleetSpec({each.name: each for each in pools})


def test_each_slot_may_have_a_run_and_one_that_drains() -> None:
    assert most_runs(spec(pool("a", numprocs=3), pool("b"))) == 8
    assert most_runs(spec()) == 0


def test_the_greatest_limit_of_open_files_counts() -> None:
    assert nofile_asked(spec(pool("a", ("core", 9), ("nofile", 100)), pool("b", ("nofile", 70)))) == 100
    assert nofile_asked(spec(pool("a", ("nofile", 100)), pool("b", ("nofile", -1)))) == -1
    assert nofile_asked(spec(pool("a"))) == 0


def test_memory_is_known_of_pools_with_a_limit_only() -> None:
    assert memory_allowed(spec(pool("a", numprocs=3, max_memory=10), pool("b", max_memory=5), pool("c"))) == (
        35, ("c",),
    )  # fmt: skip


def test_logs_take_what_is_written_and_what_is_kept() -> None:
    kept, elsewhere = LogSpec(max_size=100, keep=2), LogSpec(LogTarget.JOURNAL)
    assert log_room(spec(pool("a", numprocs=2, log=kept), pool("b", log=elsewhere))) == 600
