"""Leaving the view of `fleetd start`."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fleetd.cli import start_view
from fleetd.client.control import ControlClient
from fleetd.shell.conversation import Reply
from fleetd.shell.start_signals import DRAIN
from tests.support.control_server import serving

pytestmark = pytest.mark.process


@pytest.mark.parametrize(("now", "signalled"), [(False, DRAIN), (True, signal.SIGTERM)])
def test_who_listens_where_the_child_did_is_left_alone(tmp_path: Path, now: bool, signalled: int) -> None:
    asked = []

    async def stop(args: Mapping[str, Any], _reply: Reply) -> None:
        asked.append(args)

    child = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {})
    with serving(tmp_path / "sock", verbs={"stop": stop}):
        client = ControlClient("test", tmp_path / "sock")
        assert client.pid() == os.getpid()
        start_view._stop(client, child, now=now)
        assert client.call("echo", {}) == {}
    assert asked == []
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signalled
