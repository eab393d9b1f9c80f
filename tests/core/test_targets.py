from __future__ import annotations

import pytest

from fleetd.core.events import Target
from fleetd.core.targets import resolve
from fleetd.errors import ExitCode, NotFoundError

POOLS = {"media": [0, 1], "mail": [0], "api-1": [2]}


@pytest.mark.parametrize(
    ("patterns", "targets"),
    [
        ([], [Target("media"), Target("mail"), Target("api-1")]),
        (["media"], [Target("media")]),
        (["media:1"], [Target("media", 1)]),
        (["media:*"], [Target("media", 0), Target("media", 1)]),
        (["m*"], [Target("media"), Target("mail")]),
        (["*"], [Target("media"), Target("mail"), Target("api-1")]),
        (["*:0"], [Target("media", 0), Target("mail", 0)]),
        (["api-[0-9]"], [Target("api-1")]),
        (["media:?"], [Target("media", 0), Target("media", 1)]),
        (["mail", "m*"], [Target("mail"), Target("media")]),
    ],
)
def test_a_target_is_a_pool_a_worker_or_a_pattern_over_either(patterns: list[str], targets: list[Target]) -> None:
    assert resolve(patterns, POOLS) == tuple(targets)


@pytest.mark.parametrize("pattern", ["meida", "media:7", "MEDIA", "x*", "media:"])
def test_a_pattern_that_names_nothing_says_so_and_what_there_is(pattern: str) -> None:
    with pytest.raises(NotFoundError) as raised:
        resolve(["media", pattern], POOLS)
    assert pattern in str(raised.value)
    assert "api-1, mail, media" in str(raised.value)
    assert raised.value.exit_code is ExitCode.NOT_FOUND


def test_no_pools_and_no_pattern_is_nothing() -> None:
    assert resolve([], {}) == ()
