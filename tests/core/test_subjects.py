"""What a fleet calls an incident is believed as far as the files of this host name such a thing."""

from __future__ import annotations

import pytest

from fleetd.core import subjects
from fleetd.core.alerts import Word
from fleetd.core.incident import Subject
from tests.support.alert_world import AlertWorld, alert, spec

LOOP, WAIT = alert(Word.CRASH_LOOP), alert(Word.LONG_WAIT)


@pytest.fixture(scope="module")
def world() -> AlertWorld:
    return AlertWorld(spec(LOOP, WAIT))


def test_what_the_files_name_is_known(world: AlertWorld) -> None:
    assert subjects.named(world.state, f"{LOOP.id} crash-loop media") == (LOOP, Subject(Word.CRASH_LOOP, "media", None))
    waits = Subject(Word.LONG_WAIT, "media", "q")
    assert subjects.named(world.state, f"{WAIT.id} long-wait media q") == (WAIT, waits)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "junk",
        f"{LOOP.id} crash-loop",
        f"{LOOP.id} crash-loop -",
        f"{LOOP.id} crash-loop strange",
        f"{LOOP.id} crash-loop media q",
        f"{LOOP.id} long-wait media q",
        f"{WAIT.id} long-wait media",
        f"{WAIT.id} long-wait media strange",
        f"{WAIT.id} long-wait media q\x1b[2J",
        "strange crash-loop media",
        f"{LOOP.id} crash-loop {'x' * subjects.LONGEST_KEY}",
    ],
)
def test_what_they_do_not_name_is_nothing(world: AlertWorld, key: str) -> None:
    assert subjects.named(world.state, key) is None


def test_a_pool_that_has_left_the_files_takes_its_subjects_along() -> None:
    world = AlertWorld(spec(LOOP))
    media = Subject(Word.CRASH_LOOP, "media", None)
    assert not subjects.is_gone(world.state, LOOP, media)
    assert subjects.is_gone(world.state, LOOP, Subject(Word.CRASH_LOOP, "gone", None))
    assert subjects.is_gone(world.state, alert(Word.CRASH_LOOP, pools=("other",)), media)
