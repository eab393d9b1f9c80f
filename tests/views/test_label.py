from __future__ import annotations

import pytest

from fleetd.errors import UsageError
from fleetd.views.label import LONGEST, checked_label


@pytest.mark.parametrize("label", ["", "v42", "Mise à jour\u00a0: café 👩\u200d💻", "é" * LONGEST])
def test_a_line_of_text_is_a_label(label: str) -> None:
    assert checked_label(label) == label


@pytest.mark.parametrize(
    "label", ["caf\udce9", "\ud800", "a\nb", "a\tb", "\x1b[2J", "\u202egnp", "\x00", "x" * (LONGEST + 1), 7, ["v1"]]
)
def test_anything_else_is_none(label: object) -> None:
    with pytest.raises(UsageError, match="one line of printable text, at most 200 characters"):
        checked_label(label)
