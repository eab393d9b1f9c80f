"""Files that know whether they are still as fleetd wrote them: by a hash in their first line."""

from __future__ import annotations

import hashlib
import re
from enum import Enum

_FIRST = re.compile(r"# Written by `fleetd systemd install` \(sha256 ([0-9a-f]{64})\)[^\n]*\n")


class Origin(Enum):
    """Whose text a file's is."""

    WRITTEN = "written by fleetd, and not changed since"
    CHANGED = "changed since fleetd wrote it"
    FOREIGN = "not written by fleetd"


def marked(text: str, advice: str) -> str:
    """The text below a first line that holds its hash, and advice for who is about to change it."""
    return f"# Written by `fleetd systemd install` (sha256 {_hash(text)}): {advice}\n{text}"


def origin(text: str) -> Origin:
    """Whose text this is."""
    first = _FIRST.match(text)
    if first is None:
        return Origin.FOREIGN
    return Origin.WRITTEN if _hash(text[first.end() :]) == first[1] else Origin.CHANGED


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
