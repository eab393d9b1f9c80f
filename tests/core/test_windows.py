from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fleetd.core.alerts import WINDOW
from fleetd.core.windows import STEP, Window


def test_what_is_long_ago_is_forgotten() -> None:
    window = Window()
    assert window.changes_at is None
    window.add(3.0, bad=True)
    window.add(9.9, bad=False)
    window.add(200.0, bad=True)
    assert (window.bad, window.all, window.changes_at) == (2, 3, WINDOW + STEP)
    window.forget(WINDOW + STEP)
    assert (window.bad, window.all, window.changes_at) == (1, 1, WINDOW + STEP + 200.0)


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=60))
def test_it_holds_what_the_last_minutes_hold_to_a_step(events: list[tuple[float, bool]]) -> None:
    window, now, happened = Window(), 0.0, []
    for pause, bad in events:
        now += pause
        window.add(now, bad=bad)
        happened.append((now, bad))
        surely = [bad for at, bad in happened if at > now - WINDOW]
        perhaps = [bad for at, bad in happened if at > now - WINDOW - STEP]
        assert len(surely) <= window.all <= len(perhaps)
        assert sum(surely) <= window.bad <= sum(perhaps)
        assert len(window.steps) <= WINDOW / STEP + 2
