"""The quickstart's jobs: files that are on every machine are hashed and compressed."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
from pathlib import Path


def digest(source: str) -> str:
    """The SHA-256 of a file, also noted in QUICKSTART_DIRECTORY/digests."""
    with Path(source).open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    with (_directory("") / "digests").open("a") as notes:
        notes.write(f"{found}  {source}\n")
    return found


def compress(source: str) -> int:
    """Writes QUICKSTART_DIRECTORY/compressed/NAME.gz; the bytes that were saved."""
    target = _directory("compressed") / f"{Path(source).name}.gz"
    with Path(source).open("rb") as plain, gzip.open(target, "wb") as packed:
        shutil.copyfileobj(plain, packed)
    return Path(source).stat().st_size - target.stat().st_size


def _directory(name: str) -> Path:
    directory = Path(os.environ["QUICKSTART_DIRECTORY"]) / name
    directory.mkdir(parents=True, exist_ok=True)
    return directory
