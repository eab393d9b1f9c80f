from __future__ import annotations

import pytest

from fleetd.core.chance import Chance
from fleetd.core.effects import Announce
from fleetd.core.events import JobReported, Source
from fleetd.core.jobs import MOST_FINISHED, MOST_IN_HAND, MOST_LOST, account, lose, release_all
from fleetd.core.roll import Release
from fleetd.core.spec import Launch, LineMeaning, PoolSpec
from fleetd.core.state import Moment, Pool, Run, State
from fleetd.core.turn import Turn

WORDS = {
    "+": LineMeaning.STARTED,
    "d": LineMeaning.DONE,
    "f": LineMeaning.FAILED,
    "r": LineMeaning.RELEASED,
}


def told(text: str, *, jobs_at_once: int | None = None) -> tuple[Run, Pool]:
    """`+a da`: job a started, and was done.  A report in capitals came by the socket; `+` and `*` are starts.

    `+:Mail` has a name and no id.
    """
    spec = PoolSpec("m", Launch(("w",)), jobs_at_once=jobs_at_once)
    pool, life = Pool(spec, Release(0, spec), 1), Run("r", "m", 0, Release(0, spec), 0.0, 0.0)
    for second, word in enumerate(text.split()):
        turn = Turn(State(Chance(1)), Moment(float(second), float(second)))
        by_socket = word[0] in "*DFR"
        meaning = WORDS[word[0].replace("*", "+").lower()]
        source = Source.SOCKET if by_socket else Source.OUTPUT
        job, _, name = word[1:].partition(":")
        account(turn, pool, life, JobReported("r", meaning, source, id=job or None, name=name or None))
    return life, pool


def words(text: str, count: int) -> str:
    """Of each of so many jobs."""
    return " ".join(text.format(number) for number in range(count)) + " "


@pytest.mark.parametrize(
    ("reports", "at_once", "done", "failed", "released", "in_hand"),
    [
        ("+a da", 1, 1, 0, 0, ""),
        ("+a fa +b db +c rc", 1, 1, 1, 1, ""),
        ("+a +b db", 1, 1, 0, 1, ""),  # a start after a start: the first was released
        ("+a +b db", None, 1, 0, 0, "a"),  # unless it does several at once
        ("+a +a da", None, 1, 0, 1, ""),  # the same job is told anew
        ("da db", 1, 2, 0, 0, ""),  # done without a start counts
        ("+a fa fa fa", 1, 0, 1, 0, ""),  # several lines about one failure
        ("+a fa +a da", 1, 1, 1, 0, ""),  # tried again by the same worker
        ("+a f", 1, 0, 1, 0, ""),  # the line does not say which, and there is but one
        ("+a da *b Db dc", None, 2, 0, 0, ""),  # the socket is the only source from its first message on
        ("+a *b Db", None, 1, 0, 0, ""),  # what only the output had begun would never end
        ("+a da *a Da *b Db", 1, 2, 0, 0, ""),  # the output was read before the socket that tells the same
        ("+a da +b fb *a Da *b Fb *b Db", None, 2, 1, 0, ""),
        ("*a +b db Da", None, 1, 0, 0, ""),
        (10 * "+:M " + 10 * "d:M ", None, 10, 0, 0, ""),  # several of a name at once, without ids
        (10 * "*:M " + 10 * "D:M ", None, 10, 0, 0, ""),
        ("+:M +:M f:M f:M f:M f:M", None, 0, 2, 0, ""),  # several lines about each failure
        ("+:M f:M f:M f:M", 1, 0, 1, 0, ""),
        ("+ f f", 1, 0, 1, 0, ""),
        ("+:M f:M f:M +:M d:M", 1, 1, 1, 0, ""),
        ("+:M +:N d:N f:M", None, 1, 1, 0, ""),
        ("+:M +:M d:M", 1, 1, 0, 1, ""),
        ("+ + d d", None, 2, 0, 0, ""),
        # one line says that it is tried again, another that its message is acknowledged
        ("+a " + words("+b{}", 63) + "ra " + words("db{0} +c{0}", 63) + words("dc{}", 63) + "da", None, 126, 0, 1, ""),
    ],
)
def test_counting(reports: str, at_once: int | None, done: int, failed: int, released: int, in_hand: str) -> None:
    life, pool = told(reports, jobs_at_once=at_once)
    assert (life.jobs_done, life.jobs_failed, life.jobs_released, "".join(life.jobs)) == (
        done,
        failed,
        released,
        in_hand,
    )
    assert pool.ledger.pool.tally == (done, failed)
    assert life.jobs_counted == done + failed + released


def test_no_more_than_so_many_are_remembered_once_they_ended() -> None:
    life, _ = told(words("da{}", 20))
    assert life.finished == [f"a{number}" for number in range(4, 20)]
    life, _ = told(words("+a{}", 100) + words("da{}", 100) + words("db{}", 300))
    assert len(life.finished) == MOST_FINISHED


def test_without_an_id_an_end_is_that_of_the_oldest_job_of_the_name() -> None:
    life, pool = told("+:M +:M +:N d:M")
    assert list(pool.ledger.pool.runtimes) == [3.0]
    assert [job.started for job in life.jobs.values()] == [1.0, 2.0]


def test_a_worker_that_tells_of_no_end_has_no_more_than_so_many_jobs_in_hand() -> None:
    life, _ = told("+:M " * (MOST_IN_HAND + 5) + "+a +b")
    assert (len(life.jobs), life.jobs_released) == (MOST_IN_HAND, 7)
    assert list(life.jobs)[-2:] == ["a", "b"]


def test_a_start_in_a_queue_that_is_none_of_the_pools_is_a_line_of_the_application() -> None:
    spec = PoolSpec("m", Launch(("w",)), jobs_at_once=1, only_queues=("high", "low"))
    pool, life = Pool(spec, Release(0, spec), 1), Run("r", "m", 0, Release(0, spec), 0.0, 0.0)
    turn = Turn(State(Chance(1)), Moment(1.0, 1.0))

    def tell(meaning: LineMeaning, job: str, queue: str | None, source: Source = Source.OUTPUT) -> None:
        account(turn, pool, life, JobReported("r", meaning, source, id=job, queue=queue))

    tell(LineMeaning.STARTED, "a", "low")
    tell(LineMeaning.STARTED, "250", "mail")
    assert (list(life.jobs), life.jobs_released) == (["a"], 0)
    tell(LineMeaning.DONE, "a", "low")
    tell(LineMeaning.STARTED, "b", None)  # it does not say which
    assert (list(life.jobs), life.jobs_done, life.jobs_released) == (["b"], 1, 0)
    tell(LineMeaning.DONE, "c", "mail")  # an end is told by words that no other line has
    assert life.jobs_done == 2
    tell(LineMeaning.STARTED, "d", "mail", Source.SOCKET)
    assert list(life.jobs) == ["d"]


def test_a_planned_exit_with_a_job_in_hand_releases_it_and_counts_it() -> None:
    life, _ = told("+a +b")
    release_all(life)
    assert (life.jobs_released, life.jobs_counted, life.is_busy) == (2, 2, False)


def test_a_runtime_is_measured_from_start_to_end_and_a_reported_one_is_believed() -> None:
    _, pool = told("+a +b da fb")
    assert list(pool.ledger.pool.runtimes) == [2.0, 2.0]


def lives_on(*jobs: str) -> tuple[Run, Pool, Turn]:
    """A run whose process 7 had the jobs in hand, and is gone."""
    spec = PoolSpec("m", Launch(("w",)))
    pool, life = Pool(spec, Release(0, spec), 1), Run("r", "m", 0, Release(0, spec), 0.0, 0.0)
    turn = Turn(State(Chance(1)), Moment(1.0, 1.0))
    for job in jobs:
        account(
            turn,
            pool,
            life,
            JobReported("r", LineMeaning.STARTED, Source.SOCKET, id=job, name="Encode", queue="high", process=7),
        )
    later = Turn(turn.state, Moment(3.5, 3.5))
    assert lose(later, life, 7)
    return life, pool, later


def test_a_job_whose_process_is_gone_is_released_and_told() -> None:
    life, _, turn = lives_on("a", "b")
    assert (life.is_busy, life.jobs_released) == (False, 2)
    assert [effect.fact.fields for effect in turn.effects if isinstance(effect, Announce)] == [
        {"id": job, "name": "Encode", "queue": "high", "ran": 2.5, "run": "r"} for job in ("a", "b")
    ]
    assert not lose(turn, life, 7)


def test_an_end_that_another_process_tells_of_a_lost_job_counts_instead() -> None:
    life, pool, turn = lives_on("a", "b")
    for _ in range(2):
        account(turn, pool, life, JobReported("r", LineMeaning.FAILED, Source.SOCKET, id="a"))
    assert (life.jobs_failed, life.jobs_released, life.jobs_counted) == (1, 1, 2)
    assert pool.ledger.counters().queues == {"high": (0, 1)}
    account(turn, pool, life, JobReported("r", LineMeaning.STARTED, Source.SOCKET, id="b", process=8))
    account(turn, pool, life, JobReported("r", LineMeaning.DONE, Source.SOCKET, id="b"))
    assert (life.jobs_done, life.jobs_failed, life.jobs_released) == (1, 1, 1), "it was tried again"


def test_only_the_last_lost_jobs_are_remembered() -> None:
    life, _, _ = lives_on(*map(str, range(MOST_LOST + 5)))
    assert (len(life.lost), life.jobs_released) == (MOST_LOST, MOST_LOST + 5)
    assert "4" not in life.lost
