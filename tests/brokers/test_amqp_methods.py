"""The bytes of AMQP: whatever a server says, it is understood or refused; and queues that were absent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetd.brokers.amqp import methods
from fleetd.brokers.amqp.absent import Absent
from fleetd.brokers.amqp.broker import Known, depth
from fleetd.brokers.amqp.declares import Declares
from fleetd.brokers.amqp.methods import Method, Refusal, Size
from fleetd.brokers.amqp.wire import Wire
from fleetd.core.queues import UNKNOWN, Depth, Place
from fleetd.errors import FleetdError


@given(st.integers(0, 0xFFFF), st.binary(max_size=64))
def test_any_arguments(channel: int, arguments: bytes) -> None:
    method = Method(methods.DECLARED, channel, arguments)
    for reading in (methods.size, methods.refusal):
        with contextlib.suppress(ValueError):
            reading(method)
    methods.version(method)
    with contextlib.suppress(ValueError):
        methods.read(channel, arguments)


SERVER = st.one_of(
    st.binary(max_size=40),
    st.builds(
        methods.written,
        st.sampled_from([methods.DECLARED, methods.CHANNEL_OPENED, methods.CLOSE_CHANNEL, methods.CLOSE, 7]),
        st.one_of(st.binary(max_size=20), st.just(b"\x01q" + struct.pack(">II", 3, 1))),
        st.integers(0, 4),
    ),
    st.just(struct.pack(">BHI", methods.HEARTBEAT, 0, 0) + b"\xce"),
)


@given(st.lists(SERVER, max_size=6))
def test_any_answers(said: list[bytes]) -> None:
    """Each queue is answered, or there is one line that says why not."""

    async def steps() -> set[str]:
        reader = asyncio.StreamReader()
        reader.feed_data(b"".join(said))
        reader.feed_eof()
        _, writer = await asyncio.open_connection(sock=ours)
        wire = Wire(reader, writer, "/")
        wire.channel_limit = 10
        try:
            return set(await Declares(wire).sizes(["a", "b"]))
        finally:
            wire.abort()
            await asyncio.sleep(0)

    ours, theirs = socket.socketpair()
    with theirs:
        try:
            assert asyncio.run(steps()) == {"a", "b"}
        except FleetdError as error:
            told = str(error)
            assert "\n" not in told


def test_what_is_understood() -> None:
    assert methods.size(Method(methods.DECLARED, 1, b"\x03abc" + struct.pack(">II", 7, 2))) == Size(7, 2)
    assert methods.refusal(Method(methods.CLOSE, 0, b"\x01\x94\x05words\0\0\0\0")) == Refusal(404, "words")
    start = Method(methods.START, 0, b"\0\x09...\x07versionS\0\0\0\x063.10.8...")
    assert methods.version(start) == "3.10.8"
    assert methods.version(Method(methods.START, 0, b"")) is None
    assert methods.channel_limit(Method(methods.TUNE, 0, struct.pack(">HIH", 0, 131072, 60))) == 65535


def test_absent_queues_are_asked_for_less_and_less_often() -> None:
    absent, asked = Absent(), []
    for now in range(300):
        if absent.due(["there", "lost"], now) == ["there", "lost"]:
            asked.append(now)
            absent.note(["there", "lost"], {"lost"}, now)
        else:
            absent.note(["there"], set(), now)
    assert asked == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]
    absent.note(["lost"], set(), 300)
    assert absent.due(["lost"], 300) == ["lost"]
    absent.note(["lost"], {"lost"}, 300)
    assert absent.due(["lost"], 301) == ["lost"]


PLACE = Place("q", ready=("q", "q.high"), delayed=("q.DQ", "q.DQ2"))


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({}, UNKNOWN),
        ({"q.DQ": Known(3, 0, 0)}, UNKNOWN),
        ({"q": Known(3)}, Depth(ready=3)),
        ({"q": Known(3, 1, 2), "q.high": Known(4, 2, 5)}, Depth(ready=7, reserved=3, consumers=5)),
        ({"q": Known(3, 1, 2), "q.high": Known(4, None, None)}, Depth(ready=7, reserved=None, consumers=2)),
        ({"q": Known(0), "q.DQ": Known(3, 4, 1), "q.DQ2": Known(1, 0, 0)}, Depth(ready=0, delayed=8)),
        ({"q": Known(0), "q.DQ": Known(3, None, 1)}, Depth(ready=0, delayed=None)),
        ({"q": Known(0), "q.DQ": Known(3, None, 0)}, Depth(ready=0, delayed=3)),
    ],
)
def test_the_figures_of_several_queues(known: dict[str, Known], told: Depth) -> None:
    assert depth(PLACE, known) == told
