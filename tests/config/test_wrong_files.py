"""Wrong pool files, each with exactly what a person is told: wrong/NAME.toml and wrong/NAME.txt."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pool_files import load_texts

FOLDER = Path(__file__).parent / "wrong"
TEXTS = {file.relative_to(FOLDER).as_posix(): file.read_text() for file in FOLDER.rglob("*.toml")}
SECRET = "geheim"


@pytest.mark.parametrize("name", sorted(file.stem for file in FOLDER.glob("*.toml")))
def test_every_problem_is_named(name: str) -> None:
    loaded = load_texts(TEXTS, f"{name}.toml", environ={"SECRET": SECRET})
    told = "".join(f"{problem}\n" for problem in loaded.problems)
    assert told == (FOLDER / f"{name}.txt").read_text()
    assert loaded.spec is None
    assert loaded.problems


@pytest.mark.parametrize("answer", sorted(FOLDER.glob("*.txt")), ids=lambda file: file.stem)
def test_messages_hold_no_secret_and_are_one_line(answer: Path) -> None:
    assert answer.with_suffix(".toml").exists()
    for line in answer.read_text().splitlines():
        assert SECRET not in line
        assert line.isprintable()
        assert line.split(":")[0].endswith(".toml")


def test_there_are_enough() -> None:
    assert len(list(FOLDER.glob("*.txt"))) >= 30
