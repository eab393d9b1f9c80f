"""Bytes of a terminal to keys, whatever they are split into.

A key is a character, or a name of more than one letter: "enter", "page-up", "ctrl-c".
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping

_FINAL = re.compile(r"[@-~]")
_LONGEST = 64  # characters of a sequence; what is longer is none
_PASTE_BEGINS, _PASTE_ENDS = "\x1b[200~", "\x1b[201~"

_SINGLE: Mapping[str, str] = {"\r": "enter", "\n": "enter", "\t": "tab", "\x7f": "backspace", "\x08": "backspace"}
# xterm's names of keys: CSI or SS3 with a letter, CSI with a number and ~.
_LETTERS: Mapping[str, str] = {
    "A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end", "P": "f1", "M": "enter",
}  # fmt: skip
_NUMBERS: Mapping[str, str] = {
    "1": "home", "4": "end", "5": "page-up", "6": "page-down", "7": "home", "8": "end", "11": "f1", "3": "delete",
}  # fmt: skip


class Keys:
    """Takes bytes as they come; `waits` while only more bytes, or time, tell what was pressed."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._pasting = False

    @property
    def waits(self) -> bool:
        """Whether an escape was read that may be a key, or begin a sequence."""
        return bool(self._rest) and not self._pasting

    def feed(self, data: bytes) -> list[str]:
        """The keys that are complete by now."""
        self._rest += self._decoder.decode(data)
        return list(self._complete())

    def flush(self) -> list[str]:
        """No more bytes came for a while: an escape was the key, and half a sequence is none."""
        rest, self._rest = self._rest, ""
        return ["escape"] if rest == "\x1b" else []

    def _complete(self) -> Iterator[str]:
        while self._rest:
            if self._pasting:
                if not self._paste_ended():
                    return
                continue
            taken, key = _first(self._rest)
            if not taken:
                return
            found, self._rest = self._rest[:taken], self._rest[taken:]
            if found == _PASTE_BEGINS:
                self._pasting = True
            elif key is not None:
                yield key

    def _paste_ended(self) -> bool:
        """What was pasted is no key: a text must not command a fleet."""
        _, end, after = self._rest.partition(_PASTE_ENDS)
        if end:
            self._pasting, self._rest = False, after
            return True
        self._rest = self._rest[-(len(_PASTE_ENDS) - 1) :]
        return False


def _first(text: str) -> tuple[int, str | None]:
    """How many characters the first key takes, 0 where more must come; and the key, None where it is none of ours."""
    if text[0] != "\x1b":
        return 1, _single(text[0])
    if len(text) == 1:
        return 0, None
    if text[1] == "[":
        return _sequence(text)
    if text[1] == "O":
        return (3, _LETTERS.get(text[2])) if len(text) > 2 else (0, None)  # noqa: PLR2004 - ESC O letter
    return 1, "escape"  # Alt and a key is both of them, as are two that a slow line brought together


def _single(character: str) -> str | None:
    if character in _SINGLE:
        return _SINGLE[character]
    if character < " ":
        return f"ctrl-{chr(ord(character) + 96)}" if "\x01" <= character <= "\x1a" else None
    return character if character.isprintable() else None


def _sequence(text: str) -> tuple[int, str | None]:
    end = _FINAL.search(text, 2)
    if text[2:3] == "[":  # the Linux console's F1 to F5: ESC [ [ A
        return (4, "f1" if text[3] == "A" else None) if len(text) > 3 else (0, None)  # noqa: PLR2004
    if end is None:
        return (len(text), None) if len(text) > _LONGEST else (0, None)
    parameters = text[2 : end.start()]
    if end[0] == "~":
        return end.end(), _NUMBERS.get(parameters.partition(";")[0])
    return end.end(), _LETTERS.get(end[0]) if parameters in {"", "1"} or ";" in parameters else None
