"""The time after which jobs are given away, against the time that they may take."""

from __future__ import annotations

import pytest

from fleetd.config.pools import ReadPool
from fleetd.config.problems import Where
from fleetd.doctor import timeouts
from fleetd.doctor.report import Place, Verdict
from tests.support.pool_files import load_text

BROKER = '[broker.default]\nurl = "redis://h:1/0"\n'
LARAVEL = '[pool.media]\nframework = "laravel"\n'
LINE = Place(Where("pool.toml", 3), "broker.default.retry-after")
OK, WARNING, ERROR = Verdict.OK, Verdict.WARNING, Verdict.ERROR


def pool(text: str) -> ReadPool:
    loaded = load_text(text)
    assert not loaded.problems
    return loaded.pools["media"]


@pytest.mark.parametrize(
    ("keys", "found", "against", "verdict", "what"),
    [
        ('job-timeout = "90s"', 91, None, OK, "after 1m31s (retry_after), and may take 1m30s"),
        ('job-timeout = "90s"', 90, None, ERROR, "after 1m30s (retry_after), and may take 1m30s"),
        ('job-timeout = "90s"', 100, 200, OK, "may take 1m30s"),
        ("", 90, 60, OK, "may take 1m"),
        ("", 30, 60, ERROR, "after 30s (retry_after), and may take 1m"),
        ("", 30, None, OK, "no job-timeout is set"),
    ],
)
def test_retry_after(keys: str, found: float, against: float | None, verdict: Verdict, what: str) -> None:
    (told,) = timeouts.retry_after(pool(LARAVEL + keys), found, "retry_after", None, against=against, remedy="do it")
    assert (told.subject, told.check, told.verdict, what in told.what) == ("pool media", "retry-after", verdict, True)
    if verdict is ERROR:
        assert told.remedy == "do it"
        assert told.place is not None
        assert str(told.place) == f"pool.toml:{3 if keys else 1}: pool.media.job-timeout"


@pytest.mark.parametrize(
    ("written", "told"), [("90s", []), ("2h", ["retry-after-written"]), ("10s", ["retry-after-written"])]
)
def test_what_is_written_must_be_true(written: str, told: list[str]) -> None:
    text = f'{BROKER}retry-after = "{written}"\n{LARAVEL}'
    _, *rest = timeouts.retry_after(pool(text), 90, "retry_after", LINE)
    assert [each.check for each in rest] == told
    for each in rest:
        assert each.verdict is WARNING
        assert each.place == LINE
        assert each.remedy == 'write retry-after = "1m30s"'


@pytest.mark.parametrize(
    ("keys", "found", "verdict"),
    [
        ('job-timeout = "1h"', 1800, WARNING),
        ('job-timeout = "20m"', 1800, OK),
        ("", 1800, OK),
        ('job-timeout = "1h"', None, OK),
    ],
)
def test_consumer_timeout(keys: str, found: float | None, verdict: Verdict) -> None:
    told = timeouts.consumer_timeout(pool(LARAVEL + keys), found, is_default=False)
    assert told.verdict is verdict, told
