"""Text of unknown origin made safe for a terminal or a page: nothing in it can move a cursor, colour or reorder."""

from __future__ import annotations

import re

# Escape sequences of ECMA-48: CSI (colours, cursor), strings (OSC titles and links, DCS, …), two-byte and charset ones.
_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b(?!\[)[ -/]*[0-~]"
)
# C0 but the tab, DEL, C1; and what reorders or breaks lines in Unicode: U+061C, U+200E-F, U+2028-E, U+2066-9.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def made_visible(text: str) -> str:
    r"""The text without escape sequences, every other control character written as `\x07` or `\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub(_written, _SEQUENCE.sub("", text))


def _written(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004 - the last one of two hex digits
