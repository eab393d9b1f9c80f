"""The Lua scripts of `scripts/`: each with the libraries that it uses, and its SHA1."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

from fleetd.coordination.redis.connection import Script

DIRECTORY = Path(__file__).parent / "scripts"
_USES = re.compile(r"^-- uses: (.+)$", re.MULTILINE)
_PLACE = "--! libraries\n"  # after the names of keys and arguments, which libraries may use


@cache
def script(name: str) -> Script:
    """The script of `scripts/NAME.lua`."""
    text = (DIRECTORY / f"{name}.lua").read_text()
    uses = _USES.search(text)
    assert uses is not None
    assert _PLACE in text
    libraries = "\n".join((DIRECTORY / "lib" / f"{library}.lua").read_text() for library in uses[1].split())
    text = text.replace(_PLACE, libraries, 1)
    return Script(text, hashlib.sha1(text.encode()).hexdigest())  # noqa: S324 - by which Redis knows scripts
