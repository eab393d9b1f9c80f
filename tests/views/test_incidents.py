"""The incidents that a picture shows: those that are open, each once."""

from __future__ import annotations

from typing import Any

import pytest

from fleetd.core.alerts import Above, Word
from fleetd.core.events import QueuesRead, StartRequested, Target
from fleetd.core.queues import Depth
from fleetd.core.spec import GiveUp
from fleetd.views.incidents import MOST, IncidentView, open_incidents
from tests.support.alert_world import AlertWorld, alert, spec
from tests.support.world import UNIX


def views(world: AlertWorld) -> list[IncidentView]:
    return list(open_incidents(world.state))


def events(world: AlertWorld) -> list[str]:
    return [view.event for view in views(world)]


def wait(world: AlertWorld, seconds: float) -> None:
    """The oldest job of the queue waits for so long."""
    oldest = UNIX + world.now - seconds
    world.step(QueuesRead("x", {"media": {"q": Depth(ready=1, oldest_at=oldest)}}))


def test_it_is_shown_from_when_it_is_open_until_it_is_over() -> None:
    world = AlertWorld(spec(alert(Word.BROKER_LOST, lasting=30.0, recover_after=60.0)))
    world.step(QueuesRead("x", error="refused\x1b[2J"))
    assert events(world) == [], "it has not lasted long enough"
    world.wait(40)
    (view,) = views(world)
    assert (view.event, view.broker, view.pool, view.told) == ("broker-lost", "x", None, True)
    assert view.since == UNIX + 1002
    assert view.text == "refused"
    world.step(QueuesRead("x", {"media": {"q": Depth(ready=0)}}))
    assert events(world) == ["broker-lost"], "it may come back"
    world.wait(100)
    assert events(world) == []


def test_a_long_wait_is_shown_without_any_alert() -> None:
    world = AlertWorld(spec())
    wait(world, 90)
    (view,) = views(world)
    assert (view.event, view.pool, view.queue, view.told) == ("long-wait", "media", "q", False)
    assert view.text == "jobs wait for 1 min 30 s"


def test_what_goes_wrong_is_shown_without_any_alert_and_told_by_the_events_that_there_are() -> None:
    world = AlertWorld(spec(give_up=GiveUp(6, 3600.0)))
    world.fail(times=5)
    (view,) = views(world)
    assert (view.event, view.pool, view.worker, view.told) == ("crash-loop", "media", "media:0", False)
    world.fail(times=1)
    assert events(world) == ["crash-loop", "given-up"]
    world.step(QueuesRead("x", error="refused"))
    assert "broker-lost" not in events(world), "it has not lasted long enough"
    world.wait(11)
    assert events(world) == ["crash-loop", "given-up", "broker-lost"]
    world.step(QueuesRead("x", {"media": {"q": Depth(ready=0)}}))
    world.step(StartRequested((Target("media"),)))
    world.mend()
    assert views(world) == []
    assert world.told == []
    assert world.kinds() == []
    assert world.state.remembered_now().incidents == ()
    assert world.kinds("broker.") == ["broker.lost", "broker.reached"]


@pytest.mark.parametrize("delivers", [True, False])
def test_a_subject_is_shown_once_whatever_alerts_are_on_it(delivers: Any) -> None:
    above = Above(30.0, alert(Word.LONG_WAIT).above.unit)
    world = AlertWorld(spec(*(alert(Word.LONG_WAIT, number=n, above=above, lasting=0.0) for n in range(3))))
    world.delivers = delivers
    wait(world, 90)
    (view,) = views(world)
    assert view.told is delivers


def test_there_are_not_too_many() -> None:
    pools = {f"p{n}": 1 for n in range(MOST + 10)}
    world = AlertWorld(spec(pools=pools))
    oldest = UNIX + world.now - 90
    world.step(QueuesRead("x", {pool: {"q": Depth(ready=1, oldest_at=oldest)} for pool in pools}))
    assert len(views(world)) == MOST
