"""Waiting for a condition: bounded, and never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str, *, within: float = 30.0, every: float = 0.02) -> T:
    """The first truthy value of `condition`; fails with `what` and the last value after `within` seconds.

    Looking takes at most half of the time: what is waited for needs the machine, too.
    """
    deadline = time.monotonic() + within
    while True:
        began = time.monotonic()
        value = condition()
        if value:
            return value
        now = time.monotonic()
        if now > deadline:
            raise AssertionError(f"waited {within:g} s for {what}; last seen: {value!r}")
        time.sleep(max(every, now - began))


def stays(condition: Callable[[], object], what: str, *, seconds: float, every: float = 0.05) -> None:
    """Fails with `what` as soon as `condition` is not truthy, within `seconds`."""
    for _ in samples(seconds=seconds, every=every):
        assert condition(), f"ended: {what}"
    assert condition(), f"ended: {what}"  # a busy machine may have left no time to look but at first


def samples(*, seconds: float, every: float = 0.05) -> Iterator[float]:
    """The seconds passed so far, once every `every` seconds, until `seconds` have passed."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        yield passed
        time.sleep(every)
