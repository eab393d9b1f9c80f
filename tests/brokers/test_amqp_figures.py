"""What is made of a RabbitMQ's answers: the figures of several queues, and queues that were absent."""

from __future__ import annotations

import pytest

from fleetd.brokers.amqp.absent import Absent
from fleetd.brokers.amqp.broker import Known, depth
from fleetd.core.queues import UNKNOWN, Depth, Place


def test_absent_queues_are_asked_for_less_and_less_often() -> None:
    absent, asked = Absent(), []
    for now in range(300):
        if absent.due(["there", "lost"], now) == ["there", "lost"]:
            asked.append(now)
            absent.note(["there", "lost"], {"lost"}, now)
        else:
            absent.note(["there"], set(), now)
    assert asked == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]
    absent.note(["lost"], set(), 300)
    assert absent.due(["lost"], 300) == ["lost"]
    absent.note(["lost"], {"lost"}, 300)
    assert absent.due(["lost"], 301) == ["lost"]


PLACE = Place("q", ready=("q", "q.high"), delayed=("q.DQ", "q.DQ2"))


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({}, UNKNOWN),
        ({"q.DQ": Known(3, 0, 0)}, UNKNOWN),
        ({"q": Known(3)}, Depth(ready=3)),
        ({"q": Known(3, 1, 2), "q.high": Known(4, 2, 5)}, Depth(ready=7, reserved=3, consumers=5)),
        ({"q": Known(3, 1, 2), "q.high": Known(4, None, None)}, Depth(ready=7, reserved=None, consumers=2)),
        ({"q": Known(0), "q.DQ": Known(3, 4, 1), "q.DQ2": Known(1, 0, 0)}, Depth(ready=0, delayed=8)),
        ({"q": Known(0), "q.DQ": Known(3, None, 1)}, Depth(ready=0, delayed=None)),
        ({"q": Known(0), "q.DQ": Known(3, None, 0)}, Depth(ready=0, delayed=3)),
    ],
)
def test_the_figures_of_several_queues(known: dict[str, Known], told: Depth) -> None:
    assert depth(PLACE, known) == told
