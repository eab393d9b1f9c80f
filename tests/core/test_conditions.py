"""What an alert is on holds, and does not any more: a history for each word."""

from __future__ import annotations

from itertools import count

from msgspec.structs import replace

from fleetd.core.alerts import LONG_WAIT, WINDOW, Above, Unit, Word
from fleetd.core.deadlines import next_deadline
from fleetd.core.events import (
    JobReported,
    OutputJudged,
    QueuesRead,
    RestartRequested,
    ShutdownRequested,
    Source,
    StartRequested,
    StopRequested,
    Target,
)
from fleetd.core.queues import Depth
from fleetd.core.spec import LineMeaning
from tests.support.alert_world import GIVES_UP, LONGEST_BACKOFF, SETTLES, AlertWorld, alert, spec, without

MEDIA = (Target("media"),)
NUMBERS = count()


def waits(world: AlertWorld, seconds: float | None, pool: str = "media") -> None:
    """The broker is read; None: nothing tells how long jobs wait."""
    depth = Depth() if seconds is None else Depth(ready=1, oldest_at=world.now + 1_790_000_000.0 - seconds)
    world.step(QueuesRead("x", {pool: {"q": depth}}))


def stages(world: AlertWorld) -> list[str]:
    """Of the incidents that people are told of."""
    return [each.stage.value for each in world.state.alerts.incidents.values() if each.alert.is_told]


def test_a_queue_without_workers_is_a_long_wait_once_it_has_stood_still_for_long() -> None:
    world = AlertWorld(spec(alert(Word.LONG_WAIT)))
    world.step(StopRequested(MEDIA))
    world.mend()
    for _ in range(8):
        world.step(QueuesRead("x", {"media": {"q": Depth(ready=10_000, reserved=0)}}))
        world.wait(10)
    assert [message.value for message in world.told] == [70.0]
    world.step(QueuesRead("x", {"media": {"q": Depth(ready=0)}}))
    world.wait(SETTLES)
    assert world.states() == ["opened", "recovered"]


def test_a_crash_loop_is_over_when_each_worker_has_lived_for_as_long_as_the_longest_backoff() -> None:
    world = AlertWorld(spec(alert(Word.CRASH_LOOP)))
    world.fail("media:0", "media:1", times=4)
    assert world.told == []
    world.fail("media:0", times=1)
    (opened,) = world.told
    assert (opened.pool, opened.worker, opened.value, opened.threshold) == ("media", "media:0", 1, 0.0)
    assert opened.error is not None
    assert opened.error.endswith("ended")
    world.fail("media:1", times=1)
    assert world.states() == ["opened"], "the same incident"
    world.mend(40)
    assert stages(world) == ["open"]
    world.wait(LONGEST_BACKOFF)
    assert stages(world) == ["ending"]
    world.wait(alert(Word.CRASH_LOOP).recover_after)
    assert world.states() == ["opened", "recovered"]
    assert world.told[1].count == 2
    assert world.state.alerts.incidents == {}
    assert next_deadline(world.state) is None, "nothing is waited for"


def test_it_is_over_when_workers_end_as_planned_or_are_not_wanted() -> None:
    for ends in (lambda world: world.exit(world.run().id, 0), lambda world: world.step(StopRequested(MEDIA))):
        world = AlertWorld(spec(alert(Word.CRASH_LOOP), pools={"media": 1}))
        world.fail()
        world.come_up()
        ends(world)
        world.wait(61)
        assert world.states() == ["opened", "recovered"]


def test_so_many_workers_may_crash() -> None:
    world = AlertWorld(spec(alert(Word.CRASH_LOOP, above=Above(1))))
    world.fail("media:0")
    assert world.told == []
    world.fail("media:1")
    assert [message.value for message in world.told] == [2]


def test_another_pool_is_another_incident_or_none() -> None:
    world = AlertWorld(spec(alert(Word.CRASH_LOOP, pools=("a", "b")), pools={"a": 1, "b": 1, "c": 1}))
    world.fail("a:0", "b:0", "c:0")
    assert [message.pool for message in world.told] == ["a", "b"]


def test_given_up() -> None:
    world = AlertWorld(spec(alert(Word.GIVEN_UP), **GIVES_UP))
    world.fail(times=3)
    assert world.states() == ["opened"]
    world.wait(1000)
    assert world.states() == ["opened"]
    world.step(StartRequested(MEDIA))
    world.mend()
    assert world.states() == ["opened", "recovered"]


def test_a_pool_is_degraded_when_workers_are_missing_for_long() -> None:
    world = AlertWorld(spec(alert(Word.POOL_DEGRADED)))
    world.let_each_act()
    world.wait(100)
    assert world.told == [], "it took a moment to start"
    world.exit(world.run().id, 1)
    world.wait(59)
    assert world.told == []
    world.wait(2)
    assert [(message.value, message.worker) for message in world.told] == [(1, "media:0")]
    world.mend()
    assert world.states() == ["opened", "recovered"]


def test_a_pool_that_is_stopped_lacks_nobody() -> None:
    world = AlertWorld(spec(alert(Word.POOL_DEGRADED)))
    world.step(StopRequested(MEDIA))
    world.mend()
    assert world.told == []


def ended(world: AlertWorld, failed: int, done: int, queue: str = "q") -> None:
    for number in range(failed + done):
        meaning = LineMeaning.FAILED if number < failed else LineMeaning.DONE
        job = f"{queue} {next(NUMBERS)}"
        world.step(JobReported(world.run().id, meaning, Source.OUTPUT, id=job, queue=queue))


def test_a_share_of_failed_jobs_counts_where_there_are_enough() -> None:
    world = AlertWorld(spec(alert(Word.JOB_FAILURES)))
    ended(world, 9, 0)
    assert world.told == [], "a few say nothing"
    world.wait(WINDOW + 10)
    ended(world, 0, 31)
    ended(world, 10, 0)
    assert world.told == [], "10 of 41"
    ended(world, 1, 0)
    (opened,) = world.told
    assert (opened.value, opened.threshold, opened.queue) == (11 / 42, 0.25, None)
    world.wait(WINDOW + 100)
    assert world.states() == ["opened", "recovered"]


def test_a_number_of_failed_jobs_of_each_queue() -> None:
    world = AlertWorld(spec(alert(Word.JOB_FAILURES, above=Above(2), queues=("a", "b"))))
    ended(world, 5, 0)
    ended(world, 2, 0, "a")
    ended(world, 3, 0, "b")
    assert [(message.queue, message.value) for message in world.told] == [("b", 3)]


def test_a_job_timeout_is_over_when_there_was_none_for_a_while() -> None:
    world = AlertWorld(spec(alert(Word.JOB_TIMEOUT), job_timeout=10.0))
    world.let_each_act()
    world.wait(2)
    for name in ("media:0", "media:1"):
        world.step(JobReported(world.run(name).id, LineMeaning.STARTED, Source.OUTPUT, id="j"))
        world.wait(10)
        world.let_each_act()
        world.let_each_act()
    (opened,) = world.told
    assert (opened.pool, opened.worker, opened.value) == ("media", "media:0", 1)
    world.wait(WINDOW + 100)
    assert world.states() == ["opened", "recovered"]
    assert world.told[1].count == 2
    assert next_deadline(world.state) is None


def test_a_long_wait_has_the_threshold_of_its_queue() -> None:
    world = AlertWorld(spec(alert(Word.LONG_WAIT), alert(Word.LONG_WAIT, number=2, above=Above(300, Unit.SECONDS))))
    waits(world, LONG_WAIT - 1)
    assert world.told == []
    waits(world, LONG_WAIT + 1)
    (opened,) = world.told
    assert (opened.pool, opened.queue, opened.value, opened.threshold) == ("media", "q", 61.0, 60.0)
    waits(world, 400)
    assert [message.threshold for message in world.told] == [60.0, 300.0]
    waits(world, 0)
    world.wait(61)
    assert world.states() == ["opened", "opened", "recovered", "recovered"]


def test_only_its_queues_are_judged() -> None:
    world = AlertWorld(spec(alert(Word.LONG_WAIT, queues=("other",))))
    waits(world, 100)
    assert world.told == []


def test_a_long_wait_has_to_last() -> None:
    world = AlertWorld(spec(alert(Word.LONG_WAIT, lasting=100.0)))
    waits(world, 100)
    world.wait(99)
    waits(world, 0)
    waits(world, 100)
    world.wait(99)
    assert world.told == []
    world.wait(2)
    assert world.states() == ["opened"]


def test_of_a_queue_that_is_not_known_nothing_changes() -> None:
    world = AlertWorld(spec(alert(Word.LONG_WAIT), alert(Word.BROKER_LOST)))
    waits(world, 100)
    world.step(QueuesRead("x", error="refused"))
    world.wait(1000)
    assert [(message.word, message.told) for message in world.told] == [
        ("long-wait", "opened"),
        ("broker-lost", "opened"),
    ]
    assert (world.told[1].broker, world.told[1].error) == ("x", "refused")
    waits(world, 1)
    world.wait(61)
    assert {(message.word, message.told) for message in world.told[2:]} == {
        ("long-wait", "recovered"),
        ("broker-lost", "recovered"),
    }


def test_the_events_tell_of_long_waits_without_an_alert() -> None:
    world = AlertWorld(spec())
    waits(world, 61)
    waits(world, 100)
    assert world.kinds("queue.") == ["queue.long-wait"]
    waits(world, 1)
    waits(world, 100)
    world.wait(100)
    assert world.kinds("queue.") == ["queue.long-wait"], "it flaps"
    waits(world, 1)
    world.wait(61)
    assert world.kinds("queue.") == ["queue.long-wait", "queue.wait-over"]
    assert (world.told, world.kinds(), world.disk.incidents) == ([], [], ())
    assert next_deadline(world.state) is None


def test_a_broker_that_is_away_for_a_moment_is_not_worth_it() -> None:
    world = AlertWorld(spec(alert(Word.BROKER_LOST)))
    world.step(QueuesRead("x", error="refused"))
    world.wait(9)
    waits(world, 0)
    world.wait(100)
    assert world.told == []


def test_a_rollout_that_is_halted_is_over_when_another_one_works() -> None:
    world = AlertWorld(spec(alert(Word.ROLLOUT_HALTED)))
    world.let_each_act()
    world.wait(2)
    world.directory, world.broken = "/releases/bad", frozenset({"/releases/bad"})
    world.step(RestartRequested(world.new_roll(), MEDIA))
    world.let_each_act()
    world.let_each_act()
    (opened,) = world.told
    assert (opened.pool, opened.epoch) == ("media", None)
    assert opened.worker == "media:0"
    assert opened.error == "exited with code 1 (exit)"
    world.die()
    world.wait(1000)
    assert world.states() == ["opened"], "a daemon that follows knows of it"
    world.cooperate()
    world.wait(61)
    assert world.states() == ["opened", "recovered"]


def test_output_is_dropped_until_it_is_written_or_the_worker_is_gone() -> None:
    world = AlertWorld(spec(alert(Word.OUTPUT_DROPPED)))
    world.step(OutputJudged("nobody", "full"))
    world.step(OutputJudged(world.run("media:0").id, "full"))
    world.step(OutputJudged(world.run("media:1").id, "full"))
    (opened,) = world.told
    assert (opened.worker, opened.error, opened.value) == ("media:0", "full", 1)
    world.step(OutputJudged(world.run("media:0").id, ""))
    world.wait(100)
    assert world.states() == ["opened"]
    world.exit(world.run("media:1").id, 0)
    world.wait(61)
    assert world.states() == ["opened", "recovered"]


def test_a_daemon_that_ends_judges_nobody() -> None:
    world = AlertWorld(spec(alert(Word.CRASH_LOOP), alert(Word.POOL_DEGRADED, lasting=0.0)))
    world.let_each_act()
    world.wait(2)
    before = world.states()
    world.step(ShutdownRequested())
    world.wait(1)
    assert world.states() == before


def test_what_the_files_do_not_name_any_more_is_over() -> None:
    of = spec(alert(Word.CRASH_LOOP), alert(Word.LONG_WAIT), pools={"media": 1, "mail": 1})
    world = AlertWorld(of)
    world.fail()
    waits(world, 100)
    world.reload(without(of, "media"))
    world.mend()
    assert sorted(world.states()) == ["opened", "opened", "recovered", "recovered"]
    assert world.state.alerts.incidents == {}


def test_an_alert_that_is_gone_tells_nothing_more_and_one_with_another_threshold_goes_on() -> None:
    of = spec(alert(Word.CRASH_LOOP), alert(Word.LONG_WAIT))
    world = AlertWorld(of)
    world.fail()
    waits(world, 100)
    world.reload(replace(of, alerts=(alert(Word.LONG_WAIT, above=Above(200, Unit.SECONDS)),)))
    world.mend()
    assert [(message.word, message.told) for message in world.told[2:]] == [("long-wait", "recovered")]


def test_an_alert_that_a_reload_changes_is_judged_by_what_holds_already() -> None:
    of = spec(alert(Word.GIVEN_UP, above=Above(1)), pools={"media": 1}, **GIVES_UP)
    world = AlertWorld(of)
    world.fail("media:0", times=3)
    assert world.told == []
    world.reload(replace(of, alerts=(alert(Word.GIVEN_UP),)))
    assert world.states() == ["opened"], "its threshold is lower"
    world.reload(replace(of, alerts=(alert(Word.GIVEN_UP, number=2),)))
    assert [(each.alert, each.told) for each in world.told[1:]] == [("given-up-2", "opened")], "it is another one"
    world.reload(replace(of, alerts=(alert(Word.GIVEN_UP, number=2, above=Above(1)),)))
    world.wait(SETTLES)
    assert world.states() == ["opened", "opened", "recovered"], "its threshold is higher"
