from __future__ import annotations

from fleetd.core.events import JobReported, QueuesRead, Source
from fleetd.core.queues import Depth
from fleetd.core.spec import LineMeaning
from fleetd.core.state import Moment
from fleetd.core.waits import wait_of
from tests.support.alert_world import AlertWorld, spec
from tests.support.world import UNIX

NOW = Moment(1000.0, 1_790_001_000.0)


def test_the_wait_is_measured_or_worked_out_from_what_workers_do() -> None:
    world = AlertWorld(spec())
    pool = world.state.pools["media"]
    assert wait_of(pool, "q", NOW) is None
    pool.depths["q"] = Depth(ready=8)
    assert wait_of(pool, "q", NOW) is None, "nobody knows how long a job takes"
    pool.ledger.end("q", None, 3.0, NOW.mono - 120, failed=False)
    world.mend(10)
    wait = wait_of(pool, "q", NOW)
    assert wait is not None
    assert (wait.seconds, wait.source) == (8 * 3.0 / 2, "estimated")
    pool.depths["q"] = Depth(ready=8, oldest_at=NOW.unix - 50)
    wait = wait_of(pool, "q", NOW)
    assert wait is not None
    assert (wait.seconds, wait.source) == (50.0, "measured")


def read(world: AlertWorld, depth: Depth | None) -> None:
    world.step(QueuesRead("x", {"media": {"q": depth}} if depth else {}, None if depth else "refused"))


def waited(world: AlertWorld) -> float | None:
    wait = wait_of(world.state.pools["media"], "q", Moment(world.now, UNIX + world.now))
    return None if wait is None else wait.seconds


def test_a_queue_stands_still_since_it_was_empty_or_a_job_was_taken_or_ended() -> None:
    world = AlertWorld(spec())
    read(world, Depth(ready=100, reserved=0))
    assert waited(world) is None
    world.wait(10)
    read(world, Depth(ready=100, reserved=0))
    assert waited(world) == 10
    world.wait(10)
    read(world, Depth(ready=99, reserved=0))
    world.wait(3)
    assert waited(world) == 3
    read(world, Depth(ready=0, reserved=0))
    read(world, Depth(ready=5, reserved=0))
    world.wait(7)
    assert waited(world) == 7
    world.step(JobReported(world.run().id, LineMeaning.STARTED, Source.OUTPUT, id="1", queue="q"))
    world.wait(4)
    assert waited(world) == 4
    world.step(JobReported(world.run().id, LineMeaning.DONE, Source.OUTPUT, id="1", queue="q"))
    world.wait(900)
    assert waited(world) == 900, "it would be cleared in 10 s"
    read(world, None)
    assert waited(world) is None
    read(world, Depth(ready=5, reserved=0))
    assert waited(world) == 900, "nothing was seen to move meanwhile"
    read(world, Depth(ready=4, reserved=0))
    assert waited(world) == 8


def test_jobs_of_another_queue_are_no_sign_unless_they_do_not_say_of_which_they_are() -> None:
    world = AlertWorld(spec())
    pool = world.state.pools["media"]
    read(world, Depth(ready=5, reserved=0))
    world.wait(100)
    pool.ledger.end("high", None, None, world.now - 1, failed=False)
    assert waited(world) == 100
    pool.ledger.queues.clear()
    wait = wait_of(pool, "q", Moment(world.now, UNIX + world.now))
    assert wait is not None
    assert wait.seconds < 3


def test_a_queue_that_workers_of_other_hosts_may_work_on_does_not_stand_still() -> None:
    world = AlertWorld(spec())
    for ready in range(10, 20):
        read(world, Depth(ready=ready, reserved=2))
        world.wait(60)
        assert waited(world) is None, "each job that they take may have the place of one that has ended"
    for number, job in enumerate(("1", "2")):
        world.step(JobReported(world.run(f"media:{number}").id, LineMeaning.STARTED, Source.OUTPUT, id=job, queue="q"))
    for ready in range(20, 30):
        read(world, Depth(ready=ready, reserved=2))
        world.wait(60)
    assert waited(world) == 600, "this host's workers have both, and hang"
    read(world, Depth(ready=30, reserved=3))
    assert waited(world) is None, "another one has come"
