"""What all server processes of the tests' own have in common."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class OwnServer:
    """A server that runs as `process` while it is there."""

    __slots__ = ()
    process: subprocess.Popen[Any] | None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Meanwhile the server is there, takes connections, and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Ends the server by its pid."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=20)
            self.process = None
