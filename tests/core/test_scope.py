"""What a restart request is for."""

from __future__ import annotations

import pytest

from fleetd.core.epochs import EpochKey
from fleetd.core.scope import Scope

ALL = Scope()
MEDIA = Scope(pools=("media",))
H1 = Scope(hosts=("h1",))
BOTH = Scope(("h1", "h2"), ("mail", "media"))


def test_the_keys_that_a_request_raises() -> None:
    assert list(map(str, ALL.keys())) == [""]
    assert list(map(str, MEDIA.keys())) == ["pool:media"]
    assert list(map(str, H1.keys())) == ["host:h1"]
    assert len(BOTH.keys()) == 4


@pytest.mark.parametrize(
    ("scope", "host", "pool", "key"),
    [
        (ALL, "h1", "media", EpochKey()),
        (MEDIA, "h1", "media", EpochKey("media")),
        (MEDIA, "h1", "mail", None),
        (H1, "h1", "media", EpochKey(host="h1")),
        (H1, "h2", "media", None),
        (BOTH, "h2", "mail", EpochKey("mail", "h2")),
    ],
)
def test_the_key_for_a_worker(scope: Scope, host: str, pool: str, key: EpochKey | None) -> None:
    assert scope.key_for(host, pool) == key


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        (ALL, ALL, True), (ALL, BOTH, True), (BOTH, ALL, False), (MEDIA, H1, False), (H1, MEDIA, False),
        (MEDIA, Scope(("h1",), ("media",)), True), (BOTH, Scope(("h2",), ("media",)), True), (BOTH, H1, False),
    ],
)  # fmt: skip
def test_what_covers_what(wide: Scope, narrow: Scope, covers: bool) -> None:
    assert wide.covers(narrow) is covers


def test_in_words() -> None:
    assert str(ALL) == "all hosts"
    assert str(MEDIA) == "pool media on all hosts"
    assert str(BOTH) == "pools mail, media on hosts h1, h2"
