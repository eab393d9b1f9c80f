"""Addresses to listen at."""

from __future__ import annotations

import pytest

from fleetd.config.listen_address import parse
from tests.support.pool_files import load_text

POOL = '[pool.media]\ncommand = ["worker"]\n'


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("127.0.0.1:9808", ("127.0.0.1", 9808)),
        ("[::1]:9808", ("::1", 9808)),
        ("[0:0:0:0:0:0:0:1]:0", ("::1", 0)),
        (":9808", ("", 9808)),
        ("metrics.internal:65535", ("metrics.internal", 65535)),
    ],
)
def test_what_an_address_means(text: str, meant: tuple[str, int]) -> None:
    assert parse(text) == meant
    loaded = load_text(f'[daemon]\nmetrics-listen = "{text}"\n{POOL}')
    assert (loaded.problems, loaded.not_yet) == ((), ())
    assert loaded.spec is not None
    assert loaded.spec.daemon.metrics_listen == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("host:65536", "its port cannot be read; the largest is 65535"),
        ("[1:2]:3", 'what is between [ and ] cannot be read; write an IPv6 address, as in "[::1]:9808"'),
        ("::1:9808", '"::1:9808" is not an address; write HOST:PORT, as in "127.0.0.1:9808"'),
        ("host", '"host" is not an address; write HOST:PORT, as in "127.0.0.1:9808"'),
        ("http://host:1", '"http://host:1" is not an address; write HOST:PORT, as in "127.0.0.1:9808"'),
    ],
)
def test_what_is_no_address(text: str, told: str) -> None:
    loaded = load_text(f'[daemon]\nmetrics-listen = "{text}"\n{POOL}')
    assert [str(each) for each in loaded.problems] == [f"pool.toml:2: daemon.metrics-listen: {told}"]
