"""What the daemon writes down comes back as it was, also names that are no UTF-8."""

from __future__ import annotations

import json
import os

import pytest

from fleetd.core.records import PoolMemory, RunRecord
from fleetd.shell.documents import decode, encode, encode_any


@pytest.mark.parametrize("directory", ["/srv/app", "/srv/größe", os.fsdecode(b"/srv/\xff\xfe"), None])
def test_a_record_comes_back_whatever_its_directory_is_called(directory: str | None) -> None:
    record = RunRecord("r", "media", 0, 1, 1.5, directory=directory)
    assert b"\n" not in encode(record)
    assert decode(encode(record), RunRecord) == record


def test_what_a_later_version_added_is_left_out() -> None:
    assert decode('{"generation": 3, "colour": "red"}', PoolMemory) == PoolMemory(generation=3)


@pytest.mark.parametrize("text", ["", "{", "\x00", b"\xff", '{"generation": "three"}', "[]"])
def test_what_is_no_such_value_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(text, PoolMemory)


def test_what_is_no_text_is_told_all_the_same() -> None:
    told = encode_any({"directory": "/srv/caf\udce9", "lines": ("\ud800", "é"), "n": 1})
    assert json.loads(told) == {"directory": "/srv/caf?", "lines": ["?", "é"], "n": 1}
