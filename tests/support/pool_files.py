"""Reading pool files in tests: the real frameworks, and files given as texts."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from fleetd.config.load import Loaded, load
from fleetd.frameworks.framework import Shipped


@dataclass(frozen=True)
class Texts:
    """Pool files as a mapping from path to text."""

    texts: Mapping[str, str]
    environ: Mapping[str, str] = field(default_factory=dict)

    def read(self, path: str) -> str:
        if path not in self.texts:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.texts[path]

    def glob(self, pattern: str) -> list[str]:
        wanted = PurePosixPath(posixpath.normpath(pattern))
        paths = [path for path in map(PurePosixPath, self.texts) if len(path.parts) == len(wanted.parts)]
        return sorted(str(path) for path in paths if path.match(str(wanted)))

    def same(self, path: str) -> str:
        return posixpath.normpath(path)


def load_texts(texts: Mapping[str, str], *paths: str, environ: Mapping[str, str] | None = None) -> Loaded:
    """What came of the files; `paths` are those given by the caller, else all of them."""
    return load(paths or tuple(texts), Texts(texts, environ or {}), Shipped())


def load_text(text: str, **environ: str) -> Loaded:
    """What came of one file, pool.toml."""
    return load_texts({"pool.toml": text}, environ=environ)
