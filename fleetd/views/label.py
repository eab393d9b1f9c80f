"""What a restart is called: it stands in reports, events and tables, so that it is one short line of text."""

from __future__ import annotations

from fleetd.errors import UsageError
from fleetd.views.control_characters import made_visible

LONGEST = 200  # characters


def checked_label(label: object) -> str:
    """The label itself; raises UsageError for what cannot be one, and does not quote it."""
    if not isinstance(label, str) or len(label) > LONGEST or not _is_printable(label):
        raise UsageError(f"--label: write one line of printable text, at most {LONGEST} characters")
    return label


def _is_printable(text: str) -> bool:
    """Whether it can be shown as it is, and written as UTF-8: an argument that is not has lone surrogates."""
    return made_visible(text) == text and "\t" not in text and not any("\ud800" <= each <= "\udfff" for each in text)
