"""The known word that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word nearest to a mistyped one, or None if none is near."""
    from difflib import get_close_matches  # noqa: PLC0415 - few files have a mistake

    found = get_close_matches(word.lower().replace("_", "-"), list(known), n=1, cutoff=0.6)
    return found[0] if found else None
