"""Epoch keys grow, are raised again when they were lost, and are not believed blindly."""

from __future__ import annotations

import pytest

from fleetd.core.scope import Scope
from fleetd.errors import FleetdError
from tests.support.coordination import FleetUnderTest

INSANE = ["", "-1", "1.5", "9007199254740993", "99999999999999999999", "soon", "1790000000x", " 5"]


def test_what_keys_hold_is_seen_as_it_stands(fleet: FleetUnderTest) -> None:
    fleet.world.write_epoch("", "7")
    fleet.world.write_epoch("pool:media", "soon")
    seen = fleet.beat(epochs={"": 0, "pool:media": 0, "host:a": 0})
    assert seen.epochs == {"": "7", "pool:media": "soon"}


@pytest.mark.parametrize("key", ["", "pool:media", "host:a", "host:a:pool:media"])
def test_a_lower_or_missing_key_is_raised(fleet: FleetUnderTest, key: str) -> None:
    assert fleet.beat(epochs={key: 5}).epochs == {key: "5"}
    assert fleet.world.read_epoch("last") == "5"
    fleet.world.write_epoch(key, "4")
    assert fleet.beat(epochs={key: 5}).epochs == {key: "5"}
    assert fleet.beat(epochs={key: 3}).epochs == {key: "5"}
    assert fleet.beat(epochs={key: 0}).epochs == {key: "5"}


def test_numbers_are_kept_exactly(fleet: FleetUnderTest) -> None:
    now = int(fleet.world.clock())
    assert fleet.beat(epochs={"": now + 1, "host:a": now + 2}).epochs == {"": str(now + 1), "host:a": str(now + 2)}
    assert fleet.world.read_epoch("last") == str(now + 2)
    assert fleet.request().epoch == now + 3


@pytest.mark.parametrize("raw", INSANE)
def test_an_insane_key_is_left_for_its_operator(fleet: FleetUnderTest, raw: str) -> None:
    fleet.world.write_epoch("", raw)
    assert fleet.beat(epochs={"": 5}).epochs == {"": raw}
    assert fleet.world.read_epoch("last") == "5"


def test_a_key_far_ahead_of_the_clock_is_insane(fleet: FleetUnderTest) -> None:
    near, far = str(int(fleet.world.clock()) + 86_000), str(int(fleet.world.clock()) + 90_000)
    fleet.world.write_epoch("", far)
    fleet.world.write_epoch("host:a", near)
    assert fleet.beat(epochs={"": 5, "host:a": 5}).epochs == {"": far, "host:a": near}
    assert fleet.request(Scope(hosts=("a",))).epoch == int(near) + 1


def test_a_value_far_ahead_of_the_clock_is_not_spread(fleet: FleetUnderTest) -> None:
    far = int(fleet.world.clock()) + 90_000
    assert fleet.beat(epochs={"": far}).epochs == {}
    assert fleet.world.read_epoch("last") is None


def test_a_request_takes_the_clock_or_more_than_all_before(fleet: FleetUnderTest) -> None:
    fleet.beat()
    before = int(fleet.world.clock())
    first = fleet.request().epoch
    assert before <= first <= fleet.world.clock()
    second = fleet.request(Scope(pools=("media",))).epoch
    assert second > first
    assert fleet.world.read_epoch("") == str(first)
    assert fleet.world.read_epoch("pool:media") == fleet.world.read_epoch("last") == str(second)
    fleet.world.write_epoch("host:a", str(second + 100))
    assert fleet.request(Scope(hosts=("a",))).epoch == second + 101
    fleet.world.write_epoch("last", str(second + 200))
    assert fleet.request().epoch == second + 201


def test_a_request_takes_more_than_the_hosts_in_scope_believe(fleet: FleetUnderTest) -> None:
    believed = int(fleet.world.clock()) + 80_000
    fleet.beat("a/x", epochs={"": 5, "host:a": believed})
    fleet.beat("b/x", epochs={"": 5})
    for key in ("host:a", "last"):
        fleet.world.write_epoch(key, "0")
    assert fleet.request(Scope(hosts=("b",))).epoch < believed
    assert fleet.request().epoch == believed + 1


def test_a_request_that_hosts_would_ignore_or_refuse_fails(fleet: FleetUnderTest) -> None:
    """The clock was three days ahead, and is right again."""
    believed = int(fleet.world.clock()) + 3 * 86_400
    fleet.world.write_epoch("", str(believed))
    fleet.beat("a/x", epochs={"": believed})
    fleet.beat("b/x")
    ahead = (
        rf"remember restart epoch {believed}, 7[12]\.[09] h ahead .* ask again in 4[78]\.[09] h; nothing was asked for"
    )
    with pytest.raises(FleetdError, match=ahead):
        fleet.request()
    assert (fleet.rollouts(), fleet.world.read_epoch("")) == ([], str(believed))
    assert fleet.world.read_epoch("last") is None
    assert fleet.request(Scope(hosts=("b",))).epoch <= fleet.world.clock()
    fleet.beat("a/x", epochs={"": 2**53})
    assert fleet.request().epoch <= fleet.world.clock() + 1, "that is no epoch"


def test_a_request_sets_every_key_of_its_scope_and_no_other(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    epoch = str(fleet.request(Scope(hosts=("a", "b"), pools=("mail", "media"))).epoch)
    for key in ("host:a:pool:mail", "host:a:pool:media", "host:b:pool:mail", "host:b:pool:media"):
        assert fleet.world.read_epoch(key) == epoch
    for key in ("", "pool:mail", "pool:media", "host:a", "host:b"):
        assert fleet.world.read_epoch(key) is None


@pytest.mark.parametrize("raw", INSANE)
def test_a_request_and_its_watch_replace_what_is_insane(fleet: FleetUnderTest, raw: str) -> None:
    fleet.beat()
    fleet.world.write_epoch("", raw)
    fleet.world.write_epoch("last", raw)
    rollout = fleet.request()
    assert rollout.epoch <= fleet.world.clock()
    assert fleet.world.read_epoch("") == fleet.world.read_epoch("last") == str(rollout.epoch)
    fleet.world.write_epoch("", raw)
    fleet.world.write_epoch("last", raw)
    fleet.watch(rollout)
    assert fleet.world.read_epoch("") == fleet.world.read_epoch("last") == str(rollout.epoch)


def test_a_watch_raises_what_was_lost_and_lowers_nothing(fleet: FleetUnderTest) -> None:
    fleet.beat()
    rollout = fleet.request(Scope(pools=("mail", "media")))
    fleet.world.write_epoch("pool:mail", "3")
    fleet.world.write_epoch("pool:media", str(rollout.epoch + 5))
    fleet.watch(rollout)
    assert fleet.world.read_epoch("pool:mail") == str(rollout.epoch)
    assert fleet.world.read_epoch("pool:media") == str(rollout.epoch + 5)
