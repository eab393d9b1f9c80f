"""Changing a unit's text line by line: the text is the source, and what is not changed stays as it is."""

from __future__ import annotations

import re

_DIRECTIVE = re.compile(r"([A-Z]\w+)=")


def without_preamble(text: str) -> str:
    """The text from its first section on."""
    return text[text.index("[") :]


def with_value(text: str, key: str, value: str, reason: str | None = None) -> str:
    """The text with `key=value` in the one line that sets `key`; a reason replaces the line of comment above it."""
    lines = text.split("\n")
    (at,) = (number for number, line in enumerate(lines) if line.startswith(f"{key}="))
    lines[at] = f"{key}={value}"
    if reason is not None:
        above = [f"# {reason}"]
        lines[at - 1 if lines[at - 1].startswith("#") else at : at] = above
    return "\n".join(lines)


def without(text: str, *keys: str) -> str:
    """The text without the lines that set these, and the comment that is right above each."""
    kept: list[str] = []
    for line in text.split("\n"):
        found = _DIRECTIVE.match(line)
        if found is None or found[1] not in keys:
            kept.append(line)
        elif kept[-1].startswith("#"):
            kept.pop()
    return "\n".join(kept)


def without_paragraph(text: str, beginning: str) -> str:
    """The text without the paragraph (up to an empty line) that begins with this."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(each for each in paragraphs if not each.startswith(beginning))
