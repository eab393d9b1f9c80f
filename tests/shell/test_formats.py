"""The formats: what is written is what they say, whatever a worker writes, and reads back as it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetd.core.spec import LogFormat
from fleetd.shell.formats import Format, Json, Prefix, Raw, decoded, format_of

AT = 1_795_468_445.1239


def clock() -> float:
    return AT


FORMATS = [Prefix("media:0", clock), Json("media:0", clock)]
NASTY = (
    b'\x1b[31mred\x1b[0m "quoted" back\\slash \\n \\" tab\t nul\0 bell\a\r\n'
    b"\xff\xfe\xc3 gr\xc3\xbcn\n\n\xe2\x80\xa8\x7f\n"
)


def test_a_json_line_is_an_object_of_three_strings() -> None:
    (line,) = Json("media:0", clock).encode(b"hello").splitlines()
    values = json.loads(line)
    assert list(values) == ["at", "worker", "line"]
    assert (values["worker"], values["line"]) == ("media:0", "hello")
    prefix = Prefix("media:0", clock).encode(b"hello")
    assert prefix == f"{values['at']} media:0 hello\n".encode()
    assert len(values["at"]) == len("2026-11-23T21:14:05.123+00:00")


def test_json_holds_what_a_worker_may_write() -> None:
    lines = Json("media:0", clock).encode(NASTY).decode().split("\n")
    assert lines.pop() == ""
    assert [json.loads(line)["line"] for line in lines] == NASTY.decode(errors="replace").split("\n")[:-1]


@given(
    chunk=st.binary(min_size=1)
    | st.lists(st.sampled_from([b"\n", b'"', b"\\", b"n", b"\xed\xa0\x80", b"x"])).map(b"".join)
)
def test_any_bytes_become_valid_json_lines(chunk: bytes) -> None:
    encoded = Json("media:0", clock).encode(chunk)
    texts = [json.loads(line)["line"] for line in encoded.decode().split("\n")[:-1]]
    assert texts == chunk.removesuffix(b"\n").decode(errors="replace").split("\n")


@pytest.mark.parametrize("form", FORMATS, ids=["prefix", "json"])
@given(
    chunks=st.lists(st.text(min_size=1).map(lambda text: text.replace("\udc0a", "").encode(errors="replace") + b"\n")),
    cut=st.integers(1, 40),
)
def test_what_was_written_reads_back(form: Format, chunks: list[bytes], cut: int) -> None:
    written = b"".join(map(form.encode, chunks))
    pieces = [written[at : at + cut] for at in range(0, len(written), cut)]
    assert b"".join(decoded(form, pieces)) == b"".join(chunks)


@pytest.mark.parametrize("form", FORMATS, ids=["prefix", "json"])
def test_lines_that_are_not_its_own_are_left_out(form: Format) -> None:
    others = [
        b"from when the format was raw\n",
        Prefix("media:1", clock).encode(b"of another worker"),
        Json("media:10", clock).encode(b"and another"),
        form.encode(b"cut off by a kill")[:-9] + b"\n",
        b'{"at": "2026-11-23T21:14:05.123+00:00", "worker": "media:0", "line": "bad \\q escape"}\n',
        b"x" * 5_000_000 + b"\n",
    ]
    written = b"".join(other + form.encode(b"own\n") for other in others)
    pieces = [written[at : at + 65536] for at in range(0, len(written), 65536)]
    found = b"".join(decoded(form, pieces)).split()
    assert found.count(b"own") in {len(others), len(others) - 1}  # the one that ended the endless line may go with it
    assert set(found) <= {b"own", *(form.encode(b"cut off by a kill")[:-9].split())}


@pytest.mark.parametrize("form", FORMATS, ids=["prefix", "json"])
def test_any_beginning_of_an_own_line_is_torn_after_an_own_line(form: Format) -> None:
    before, line = form.encode(b"before\n")[:-1], form.encode(b"torn, or whole without its end")[:-1]
    assert all(form.is_torn(before, line[:length]) for length in range(1, len(line) + 1))
    west = line.replace(b"+00:00", b"-05:00")
    assert form.is_torn(west, west)


@pytest.mark.parametrize("form", FORMATS, ids=["prefix", "json"])
def test_the_first_line_of_a_log_is_torn_if_it_names_the_worker(form: Format) -> None:
    line = form.encode(b"torn")[:-1]
    assert form.is_torn(b"", line)
    assert not any(form.is_torn(b"", line[:length]) for length in (1, 10, len(line) - len(b'torn"}') - 9))


@pytest.mark.parametrize("form", FORMATS, ids=["prefix", "json"])
def test_what_is_no_beginning_of_an_own_line_is_not_torn(form: Format) -> None:
    own = form.encode(b"own")[:-1]
    others = [
        b"x",
        b"raw output",
        b"3" if form is FORMATS[1] else b"{",
        b"2026-11-2x",
        b'{"at": 3',
        b'{"at": "2026-11-23 21',
        own.replace(b"media:0", b"media:1"),
        own[:-1].replace(b"media:0", b"media:00"),
        b" " + own,
    ]
    assert not [other for other in others if form.is_torn(own, other)]
    # Raw output may look like the beginning of a stamp; then what is before it is raw output, too.
    assert not [other for other in others if form.is_torn(other, own[:4])]
    assert not Raw().is_torn(b"", b"as it is")


def test_every_format_has_one() -> None:
    kinds = {kind: format_of(kind, "media:0", clock) for kind in LogFormat}
    assert [form.by_line for form in kinds.values()] == [False, True, True]
    assert kinds[LogFormat.RAW].encode(b"as it is\n") == b"as it is\n"
    assert kinds[LogFormat.RAW].encode(b"ended") == b"ended\n"
