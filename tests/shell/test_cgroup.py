"""What a cgroup says of a kill for want of memory, in the kernel's own words."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetd.shell.cgroup import had_oom_kill

EVENTS = "low 0\nhigh 0\nmax 3\noom 1\noom_kill {}\noom_group_kill 0\n"


@pytest.mark.parametrize(("kills", "had_one"), [(0, False), (1, True), (10, True)])
def test_a_kill_for_memory_is_told_where_the_memory_controller_counts_it(
    tmp_path: Path, kills: int, had_one: bool
) -> None:
    (tmp_path / "memory.events").write_text(EVENTS.format(kills))
    assert had_oom_kill(str(tmp_path)) is had_one


def test_without_that_controller_nothing_is_told(tmp_path: Path) -> None:
    assert not had_oom_kill(str(tmp_path))
