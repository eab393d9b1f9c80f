"""One run, as the daemon lives with it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from fleetd.shell.notify import NotifySocket
from fleetd.shell.proc import read_process


class LiveRun(Struct):
    """What is known of a run beside the core."""

    pool: str
    slot: int
    pid: int | None = None
    uid: int | None = None  # of its user, None: the daemon's own
    gid: int | None = None
    started: int | None = None  # see `Entry`
    pipe: int | None = None
    socket: NotifySocket | None = None
    seen: Mapping[str, int] = field(default_factory=dict)  # by sender: what an earlier daemon had heard of it
    exit: tuple[int | None, int | None] | None = None
    is_listened_to: bool = False

    @property
    def worker(self) -> str:
        """POOL:SLOT."""
        return f"{self.pool}:{self.slot}"

    def identify(self) -> None:
        """Learn what tells its main process, while that lives, from another of its pid."""
        process = None if self.pid is None or self.exit is not None else read_process(self.pid)
        self.started = None if process is None else process.started
