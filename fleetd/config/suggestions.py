"""The known word that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word nearest to a mistyped one, or None if none is near."""
    found = get_close_matches(word.lower().replace("_", "-"), list(known), n=1, cutoff=0.6)
    return found[0] if found else None
