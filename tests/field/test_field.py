"""Every framework does what docs/frameworks-tested.md says of it: no more, no less."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.field.cases import CASES, NOTES, Case
from tests.field.page import PAGE, between_markers, rendered, written_rows
from tests.field.scenario import Scenario
from tests.support.fleetd_cli import Fleetd


@pytest.mark.process
@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", [pytest.param(case, marks=case.marks, id=case.name) for case in CASES])
def test_framework(case: Case, fleetd: Fleetd, tmp_path: Path) -> None:
    written = written_rows().get(case.key)
    with case.app(tmp_path) as app:
        row = Scenario(fleetd, app, case.key, known=written).run()
    assert written is not None, f"{PAGE.name} has no row of this: make field"
    assert row.facts == written.facts, f"{PAGE.name} says otherwise: make field, if this is how it is meant to be"


def test_page_has_a_row_for_each_framework() -> None:
    assert list(written_rows()) == [case.key for case in CASES]


def test_page_has_the_notes_as_they_are() -> None:
    assert between_markers(PAGE.read_text(encoding="utf-8")) == rendered(written_rows().values(), NOTES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_lacking_has_a_note_and_nothing_else_but_a_drain(case: Case) -> None:
    assert written_rows()[case.key].lacking == case.notes.keys() - {"drain"}
