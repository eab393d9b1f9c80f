"""Words and paths in a unit file arrive as they were."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetd.errors import UsageError
from fleetd.systemd.quoting import command_line, file_path


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["/usr/bin/fleetd", "start", "-c", "/etc/x.toml"], "/usr/bin/fleetd start -c /etc/x.toml"),
        (["/opt/my app/fleetd", "-c", "a b"], '"/opt/my app/fleetd" -c "a b"'),
        (["/x", "50%n"], '/x "50%%n"'),
        (["/x$y", "$HOME/${A}"], '"/x$y" "$$HOME/$${A}"'),
        (["/x", 'say "it\'s" \\'], '/x "say \\"it\'s\\" \\\\"'),
        (["/x", "a\nb\tc\x01"], '/x "a\\nb\\tc\\x01"'),
        (["/x", ";", ""], '/x ";" ""'),
        (["/x", "für/日本"], '/x "für/日本"'),
    ],
)  # fmt: skip
def test_command_lines(words: list[str], line: str) -> None:
    assert command_line(words) == line


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1))
def test_a_line_gives_the_words_back(words: list[str]) -> None:
    assert split(command_line(["/program", *words])) == ["/program", *words]


@pytest.mark.parametrize(
    ("path", "value"),
    [("/etc/a b.env", "/etc/a b.env"), ("/50%n.env", "/50%%n.env"), ("/a[1]*?\\.env", "/a\\[1]\\*\\?\\\\.env")],
)
def test_paths_that_are_patterns(path: str, value: str) -> None:
    assert file_path(path) == value


@pytest.mark.parametrize("path", ["/a\nb", "/a ", "/\udcff"])
def test_a_path_that_no_unit_can_hold_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="rename the file"):
        file_path(path)


def test_a_word_that_no_unit_can_hold_is_refused() -> None:
    with pytest.raises(UsageError, match="rename the file"):
        command_line(["/x", "\udcff"])


def split(line: str) -> list[str]:
    """The words as systemd reads them: extract_first_word with C unescaping, specifiers, then the environment."""
    words = re.findall(r'"((?:[^"\\]|\\.)*)"|([^\s"]+)', line, re.DOTALL)
    escapes = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"'}

    def unescaped(match: re.Match[str]) -> str:
        return chr(int(match[1][1:], 16)) if match[1].startswith("x") else escapes[match[1]]

    read = [re.sub(r"\\(x[0-9a-f]{2}|.)", unescaped, quoted) if quoted else plain for quoted, plain in words]
    read = [word.replace("%%", "%") for word in read]
    return [read[0], *(word.replace("$$", "$") for word in read[1:])]
