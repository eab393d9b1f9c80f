from __future__ import annotations

import pytest

from tests.support.history import Host, pool_spec


@pytest.mark.parametrize(("autostart", "after_start", "after_stop"), [(True, None, True), (False, False, True)])
def test_only_a_wish_that_differs_from_autostart_is_remembered(
    autostart: bool, after_start: bool | None, after_stop: bool
) -> None:
    host = Host({"m": pool_spec("m", {"autostart": autostart})})
    host.play("0 files")
    host.play("1 start m")
    assert host.state.remembered_now().pools["m"].stopped is after_start
    host.play("2 stop m")
    assert host.state.remembered_now().pools["m"].stopped is after_stop


@pytest.mark.parametrize("line", ["1 stop x", "1 start x", "1 restart x", "1 scale x 3", "1 pause x:0", "1 resume m:9"])
def test_a_target_that_is_gone_meanwhile_changes_nothing(line: str) -> None:
    host = Host({"m": pool_spec("m", {})})
    host.play("0 files")
    before = host.final()
    assert host.play(line) == "@1 healthy m:0"
    assert before["m:0"] == "m:0.1 starting /r/1"
    assert host.final()["m:0"] == "m:0.1 healthy /r/1"
