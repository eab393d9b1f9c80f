from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.board import HEADER, RECORD, Board, OverdueError, fewest_alive


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    board = Board(tmp_path / "board", capacity=16)
    yield board
    board.close()


def write(board: Board, lives: list[tuple[int, int]]) -> None:
    """As workers with these births and ends do."""
    with board.path.open("r+b") as file:
        file.write(len(lives).to_bytes(8, "little"))
        for number, (born, died) in enumerate(lives):
            file.seek(HEADER + number * RECORD.size)
            file.write(RECORD.pack(born, died, 700, 0, 4200 + number, f"bench:{number}".encode()))


def test_a_worker_is_read_as_it_wrote_itself_down(board: Board) -> None:
    write(board, [(5, 0), (6, 9)])
    assert len(board) == 2
    assert (board[1].born, board[1].died, board[1].written, board[1].pid, board[1].name) == (6, 9, 700, 4201, "bench:1")
    assert board.living() == [0]


def test_births_are_waited_for(board: Board) -> None:
    write(board, [(5, 0), (0, 0)])
    assert [record.born for record in board.wait_for_births(1, 0)] == [5]
    with pytest.raises(OverdueError, match="1 of 2"):
        board.wait_for_births(2, 0)


def test_the_fewest_at_once_are_counted_from_a_moment_on(board: Board) -> None:
    write(board, [(1, 0), (2, 50), (3, 20), (21, 0), (60, 0)])
    assert fewest_alive(board, since=10) == 2
    assert fewest_alive(board, since=30) == 2
    assert fewest_alive(board, since=70) == 3


def test_who_was_killed_is_dead_without_a_stamp(board: Board) -> None:
    write(board, [(1, 0), (2, 0)])
    board.killed[1] = 10
    assert board.living() == [0]
    assert fewest_alive(board, since=5) == 1


def test_births_are_sorted_before_ends_never_mixed_up_by_equal_times(board: Board) -> None:
    write(board, [(1, 10), (10, 0)])
    assert fewest_alive(board, since=5) == 0  # at the same moment: the cautious answer
