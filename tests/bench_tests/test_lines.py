from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.bench.lines import LENGTH, Ledger, Verdict, numbers, verify

PREFIX = b"2026-11-25T22:48:03.123+00:00 bench:17 "


def line(worker: int, number: int) -> bytes:
    """As worker.c writes it."""
    return f"w={worker:06d} s={number:010d} ".encode().ljust(LENGTH - 1, b"x") + b"\n"


def verdict(written: dict[int, int], chunks: Iterable[bytes]) -> Verdict:
    ledger = Ledger(written)
    ledger.read(chunks)
    return ledger.verdict()


@pytest.mark.parametrize("prefix", [b"", PREFIX], ids=["raw", "prefixed"])
@pytest.mark.parametrize("size", [1, 7, 99, 100, 101, 4096])
def test_all_lines_are_found_however_the_log_is_cut(prefix: bytes, size: int) -> None:
    log = b"".join(prefix + line(3, number) for number in range(50))
    cut = [log[at : at + size] for at in range(0, len(log), size)]
    assert verdict({3: 50}, cut) == Verdict(lost=0, torn=0, doubled=0)


def test_a_line_that_never_came_is_lost() -> None:
    assert verdict({3: 3}, [line(3, 0), line(3, 2)]) == Verdict(lost=1, torn=0, doubled=0)


def test_a_worker_of_which_nothing_came_lost_all() -> None:
    assert verdict({3: 1, 4: 25}, [line(3, 0)]) == Verdict(lost=25, torn=0, doubled=0)


def test_a_line_that_came_twice_is_doubled() -> None:
    assert verdict({3: 2}, [line(3, 0), line(3, 1), line(3, 1)]) == Verdict(lost=0, torn=0, doubled=1)


@pytest.mark.parametrize(
    "log",
    [
        line(3, 0)[:40] + b"\n" + line(3, 0)[40:] + line(3, 1),
        line(3, 0)[:40] + line(4, 0) + line(3, 0)[40:] + line(3, 1),
        line(3, 0).rstrip(b"\n") + line(3, 1) + b"x\n",
    ],
    ids=["a newline in it", "another one in it", "two in one"],
)
def test_a_line_in_pieces_is_torn(log: bytes) -> None:
    found = verdict({3: 2, 4: 1}, [log])
    assert found.torn > 0


def test_the_end_of_a_log_without_a_newline_is_torn_unless_the_line_is_whole() -> None:
    assert verdict({3: 2}, [line(3, 0), line(3, 1)[:50]]) == Verdict(lost=1, torn=1, doubled=0)
    assert verdict({3: 2}, [line(3, 0), line(3, 1)[:-1]]) == Verdict(lost=0, torn=0, doubled=0)


def test_lines_that_nobody_wrote_are_torn() -> None:
    assert verdict({3: 1}, [line(3, 0), line(3, 1), line(9, 0), b"Killed\n"]) == Verdict(lost=0, torn=3, doubled=0)


def test_what_stands_before_a_line_is_a_prefix_only_while_it_is_short() -> None:
    whole = line(3, 0).rstrip(b"\n")
    assert numbers(PREFIX + whole) == (3, 0)
    assert numbers(b"y" * 90 + whole) is None
    assert numbers(whole.replace(b"s=", b"t=")) is None
    assert numbers(whole[:-1] + b"y") is None


def test_a_log_may_be_several_files(tmp_path: Path) -> None:
    log = line(3, 0) + line(3, 1) + line(3, 2)
    older, younger = tmp_path / "log.1", tmp_path / "log"
    older.write_bytes(log[:150])
    younger.write_bytes(log[150:])
    assert verify([[older, younger]], {3: 3}) == Verdict(lost=0, torn=0, doubled=0)
    assert verify([[younger]], {3: 3}).lost == 2
