"""Texts as unit files want them: systemd.service(5) "Command lines", systemd.unit(5) "Specifiers"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fleetd.errors import UsageError

_PLAIN = re.compile(r"[\w@+=:,./-]+", re.ASCII)
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def command_line(words: Sequence[str]) -> str:
    """A command as ExecStart= and its like take it, so that these words arrive.

    Raises UsageError for a word that no unit file can hold.
    """
    program, *arguments = words
    return " ".join([_word(program), *(_word(each.replace("$", "$$")) for each in arguments)])


def file_path(path: str) -> str:
    """A path that is the whole value of a directive which takes patterns (EnvironmentFile=).

    Raises UsageError for one that no unit file can hold.
    """
    _check(path)
    if "\n" in path or path != path.rstrip():
        raise UsageError(f"{path!r}: no unit file can hold this path; rename the file")
    return re.sub(r"([\\*?\[])", r"\\\1", path).replace("%", "%%")


def _word(text: str) -> str:
    _check(text)
    text = text.replace("%", "%%")
    return text if _PLAIN.fullmatch(text) else f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() or ord(character) > 0x7F else f"\\x{ord(character):02x}"  # noqa: PLR2004


def _check(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{text!r}: a unit file is UTF-8, and this is not; rename the file") from None
