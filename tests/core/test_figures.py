from __future__ import annotations

from fleetd.core.figures import MOST_ROWS, OTHERS, Figures, Ledger
from fleetd.core.records import Counters


def test_a_job_counts_for_its_pool_its_queue_and_its_class() -> None:
    ledger = Ledger()
    assert ledger.end("a", "Encode", 2.0, 10.0, failed=False) == Counters((1, 0), {"a": (1, 0)}, {"Encode": (1, 0)})
    assert ledger.end("b", "Encode", None, 11.0, failed=True) == Counters((1, 1), {"b": (0, 1)}, {"Encode": (1, 1)})
    assert ledger.end(None, None, 4.0, 12.0, failed=False) == Counters((2, 1))
    assert ledger.counters() == Counters((2, 1), {"a": (1, 0), "b": (0, 1)}, {"Encode": (1, 1)})
    assert (ledger.pool.runtime, ledger.queues["a"].runtime, ledger.queues["b"].runtime) == (3.0, 2.0, None)


def test_counters_go_on_from_where_they_were() -> None:
    before, after = Ledger(), Ledger()
    before.end("a", "Encode", 2.0, 10.0, failed=False)
    after.restore(before.counters())
    after.end("a", "Encode", 2.0, 1.0, failed=True)
    assert after.counters() == Counters((1, 1), {"a": (1, 1)}, {"Encode": (1, 1)})


def test_names_without_end_take_bounded_room() -> None:
    ledger = Ledger()
    for number in range(3 * MOST_ROWS):
        ledger.start(None, f"Job{number}", 1.0)
        ledger.end(None, f"Job{number}", 1.0, 1.0, failed=False)
    assert len(ledger.classes) == MOST_ROWS + 1
    assert ledger.classes[OTHERS].done == 2 * MOST_ROWS
    assert ledger.end(None, "Job0", 1.0, 1.0, failed=False).classes == {"Job0": (2, 0)}


def test_jobs_in_the_last_minute() -> None:
    figures = Figures()
    for second in range(0, 120, 2):
        figures.end(None, float(second), failed=False)
        figures.end(None, second + 0.5, failed=True)
    assert figures.per_minute(120.0) == 2 * 29  # those of the seconds 62 to 118
    assert figures.per_minute(300.0) == 0


def test_the_row_of_a_queue_is_that_of_the_others_when_there_is_no_more_room() -> None:
    ledger = Ledger()
    for number in range(MOST_ROWS):
        ledger.end(f"q{number}", None, None, 1.0, failed=False)
    assert [ledger.row_of(name) for name in ("q0", "another", None)] == ["q0", OTHERS, None]
