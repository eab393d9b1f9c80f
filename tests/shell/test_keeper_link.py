"""Reaching a keeper that takes nothing."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from fleetd.errors import FleetdError
from fleetd.shell.keeper_link import KeeperLink


def test_a_keeper_that_takes_no_connection_is_not_waited_for(short_path: Path) -> None:
    """It is stopped, and starts that were given up stand before this one."""
    path = short_path / "keeper.sock"
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        listener.bind(str(path))
        listener.listen(0)
        link = KeeperLink.find(path)
        assert link is not None
        stack.callback(link.close)
        with pytest.raises(FleetdError, match="the keeper does not answer: see"):
            KeeperLink.find(path)


def test_none_is_found_where_none_listens(short_path: Path) -> None:
    path = short_path / "keeper.sock"
    assert KeeperLink.find(path) is None
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(str(path))
    assert KeeperLink.find(path) is None
