"""Lines for followers: none is left out in silence."""

from __future__ import annotations

import asyncio

from fleetd.shell.tail import KEPT_LINES, Backlog, Following


def everything(backlog: Backlog) -> list[tuple[str, str]]:
    async def scene() -> list[tuple[str, str]]:
        found = []
        while True:
            try:
                async with asyncio.timeout(0.01):
                    found.append(await backlog.next())
            except TimeoutError:
                return found

    return asyncio.run(scene())


def numbered(first: int, last: int) -> tuple[str, ...]:
    return tuple(map(str, range(first, last)))


def test_a_chunk_of_too_many_lines_says_how_many_are_left_out() -> None:
    following = Following()
    assert following.lines(b"1\n2\n3") == (("1", "2"), 0)
    lines, left_out = following.lines(b"\n" + b"x\n" * 500 + b"last\nrest")
    assert (len(lines), left_out, lines[-1]) == (KEPT_LINES, 502 - KEPT_LINES, "last")


def test_a_quick_follower_sees_all() -> None:
    backlog = Backlog()
    backlog.add("a", numbered(0, 150), 0)
    backlog.add("b", ("x",), 0)
    assert everything(backlog) == [*(("a", n) for n in numbered(0, 150)), ("b", "x")]


def test_a_slow_follower_is_told_what_it_missed_before_what_follows() -> None:
    backlog = Backlog()
    for first in range(0, 1000, 100):
        backlog.add("a", numbered(first, first + 100), 0)
    assert everything(backlog) == [("a", "(800 lines not shown)"), *(("a", n) for n in numbered(800, 1000))]


def test_what_was_left_out_at_the_source_counts_too() -> None:
    backlog = Backlog()
    backlog.add("b", ("other",), 0)
    backlog.add("a", numbered(0, 10), 0)
    backlog.add("a", numbered(500, 600), 490)
    assert everything(backlog) == [
        ("b", "other"),
        ("a", "(500 lines not shown)"),
        *(("a", n) for n in numbered(500, 600)),
    ]


def test_a_worker_whose_lines_others_pushed_out_is_told_of() -> None:
    backlog = Backlog()
    backlog.add("a", ("one", "two"), 0)
    backlog.add("b", numbered(0, KEPT_LINES), 0)
    found = everything(backlog)
    assert found[:-1] == [("b", n) for n in numbered(0, KEPT_LINES)]
    assert found[-1] == ("a", "(2 lines not shown)")
