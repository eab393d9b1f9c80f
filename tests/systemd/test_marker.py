"""A file knows whether it is as it was written."""

from __future__ import annotations

import pytest

from fleetd.systemd.marker import Origin, marked, origin


@pytest.mark.parametrize(
    ("change", "whose"),
    [
        (lambda text: text, Origin.WRITTEN),
        (lambda text: text + "\n", Origin.CHANGED),
        (lambda text: text.replace("1h", "2h"), Origin.CHANGED),
        (lambda text: "\n" + text, Origin.FOREIGN),
        (lambda text: text.split("\n", 1)[1], Origin.FOREIGN),
        (lambda _: "", Origin.FOREIGN),
    ],
)
def test_whose_a_text_is(change: object, whose: Origin) -> None:
    assert callable(change)
    assert origin(change(marked("TimeoutStopSec=1h\n", "use drop-ins"))) is whose
