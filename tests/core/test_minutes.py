from __future__ import annotations

from fleetd.core.minutes import KEPT, MINUTE, History, Row


def test_what_ended_in_each_minute_by_pool_and_queue() -> None:
    history = History()
    history.start(60.0, "media", "high", 0.5)
    history.end(119.9, "media", "high", 2.0, failed=False)
    history.end(119.9, "media", None, None, failed=True)
    history.end(120.0, "media", "high", 3.0, failed=True)
    assert dict(history.rows(0)) == {
        1: (Row("media", "high", 1, 0, 2.0, 1, 0.5, 1), Row("media", None, 0, 1)),
        2: (Row("media", "high", 0, 1, 3.0, 1),),
    }
    assert dict(history.rows(2)).keys() == {2}


def test_a_day_is_kept() -> None:
    history = History()
    for minute in range(2 * KEPT):
        history.end(minute * MINUTE, "media", None, None, failed=False)
    assert [minute for minute, _ in history.rows(0)] == list(range(KEPT, 2 * KEPT))


def test_what_a_clock_that_was_ahead_wrote_is_dropped() -> None:
    history = History()
    for minute in (10, 500, 11):
        history.end(minute * MINUTE, "media", None, None, failed=False)
    assert [minute for minute, _ in history.rows(0)] == [10, 11]


def test_how_many_ended_in_each_of_the_last_minutes() -> None:
    history = History()
    for minute, jobs in ((1, 1), (3, 2), (5, 3)):
        for _ in range(jobs):
            history.end(minute * MINUTE + 30, "media", "high", 1.0, failed=False)
    assert history.lately(5 * MINUTE + 59, 4) == {"media": {"high": (0, 2, 0, 3)}}
    assert (history.lately(100 * MINUTE, 4), history.seen(100 * MINUTE, 4)) == ({}, (0, 0, 0, 0))


def test_how_many_failed_in_the_last_minutes() -> None:
    history = History()
    for minute, queue, failed in ((1, "high", True), (3, "high", True), (4, None, True), (5, "high", False)):
        history.end(minute * MINUTE + 30, "media", queue, None, failed=failed)
    assert history.failed(5 * MINUTE + 59, 4) == {"media": {"high": 1, None: 1}}
    assert history.failed(5 * MINUTE + 59, 5) == {"media": {"high": 2, None: 1}}
    assert history.failed(100 * MINUTE, 4) == {}


def test_no_more_minutes_than_were_seen() -> None:
    history = History(began=3 * MINUTE + 59)
    history.end(4 * MINUTE, "media", None, None, failed=False)
    assert history.lately(4 * MINUTE, 60) == {"media": {None: (0, 1)}}
    assert history.seen(4 * MINUTE, 60) == (0, 0)
