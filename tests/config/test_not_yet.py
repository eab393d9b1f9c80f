"""What this version does not do yet: accepted by check, and refused by start or started without."""

from __future__ import annotations

import pytest

from tests.support.pool_files import load_text

POOL = '[pool.media]\ncommand = ["worker"]\n'
REFUSED = "not yet in this version; fleetd start refuses the file until it is taken out"

KEYS = [
    ("singleton = true", f"pool.media.singleton: {REFUSED}"),
    ('balance = "auto"', f'pool.media.balance: "auto" is {REFUSED}'),
    ('singleton-lease = "1m"', f"pool.media.singleton-lease: {REFUSED}"),
    ("autoscale = { max = 3, jobs-per-worker = 10 }", f"pool.media.autoscale: {REFUSED}"),
]


@pytest.mark.parametrize(("key", "note"), KEYS)
def test_refused_keys(key: str, note: str) -> None:
    loaded = load_text(POOL + key)
    assert loaded.problems == ()
    assert loaded.spec is not None
    assert [str(each) for each in loaded.refused] == [f"pool.toml:3: {note}"]


@pytest.mark.parametrize(
    "key",
    ['log.to = "journal"', 'log.to = "stdout"', 'log.to = "none"', 'log.format = "json"', "log.compress = true"],
)
def test_targets_and_formats_of_output_are_all_done(key: str) -> None:
    assert load_text(POOL + key).not_yet == ()


@pytest.mark.parametrize("key", ["singleton = false", 'balance = "off"'])
def test_the_default_written_out_is_no_later_work(key: str) -> None:
    assert load_text(POOL + key).not_yet == ()
