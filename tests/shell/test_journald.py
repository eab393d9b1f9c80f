"""Output to systemd's journal: a stand-in that reads datagrams, and the real one."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetd.core.spec import LogSpec, LogTarget
from fleetd.shell import patience
from fleetd.shell.targets import Surroundings
from tests.support.output_bench import Bench, run, until
from tests.support.requirement import need

pytestmark = pytest.mark.process

JOURNAL = LogSpec(to=LogTarget.JOURNAL)
JOURNALD = "/lib/systemd/systemd-journald"
Benches = Callable[..., Bench]
Fields = dict[str, bytes]


@pytest.fixture
def place(short_path: Path) -> Path:
    return short_path / "socket"


def listening(place: Path) -> socket.socket:
    """The journal's end."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    server.bind(str(place))
    return server


def received(server: socket.socket) -> Iterator[Fields]:
    """The datagrams that wait, taken apart as the protocol says."""
    while True:
        try:
            data = server.recv(1 << 20)
        except BlockingIOError:
            return
        fields: Fields = {}
        while data:
            head, _, data = data.partition(b"\n")
            name, is_text, value = head.partition(b"=")
            if not is_text:
                (length,) = struct.unpack("<Q", data[:8])
                value, end, data = data[8 : 8 + length], data[8 + length : 9 + length], data[9 + length :]
                assert end == b"\n"
            fields[name.decode()] = value
        yield fields


def test_each_line_is_a_message_with_its_fields(benches: Benches, place: Path) -> None:
    async def scene() -> None:
        with listening(place) as server:
            bench = benches(Surroundings(journald=place))
            writer = bench.pipe(JOURNAL)
            os.write(writer, b"done 1\n\n\x1b[1m=\xff\0\nwithout an end")
            os.close(writer)
            bench.output.finish("a")
            messages = list(received(server))
            assert [each.pop("MESSAGE") for each in messages] == [b"done 1", b"", b"\x1b[1m=\xff\0", b"without an end"]
            assert messages == 4 * [
                {
                    "PRIORITY": b"6",
                    "SYSLOG_IDENTIFIER": b"media:0",
                    "FLEETD_INSTANCE": b"instance",
                    "FLEETD_POOL": b"media",
                    "FLEETD_SLOT": b"0",
                    "FLEETD_WORKER": b"media:0",
                    "FLEETD_RUN": b"a",
                }
            ]
            assert bench.reports == [("a", b"done 1")]
            assert bench.output.path("media:0") is None
            assert bench.output.last_lines("a", 4)[0] == "done 1"
            bench.output.close_all()

    run(scene)


def test_an_absent_journal_costs_lines_until_it_is_there(benches: Benches, place: Path) -> None:
    async def scene() -> None:
        bench = benches(Surroundings(journald=place))
        writer = bench.pipe(JOURNAL)
        os.write(writer, b"done 1\n")
        await until(lambda: bench.output.dropped("a") == 7)
        assert bench.drops == [("a", 7, f"the systemd journal: No such file or directory ({place})")]
        for _ in range(2):  # it may be started again
            with listening(place) as server:
                os.write(writer, b"there\n")
                await until(lambda server=server: [m["MESSAGE"] for m in received(server)] == [b"there"])  # type: ignore[misc]
            os.unlink(place)  # noqa: PTH108 - as quick
            dropped = bench.output.dropped("a")
            os.write(writer, b"gone\n")
            await until(lambda dropped=dropped: bench.output.dropped("a") == dropped + 5)  # type: ignore[misc]
        assert len(bench.drops) == 1
        os.close(writer)
        bench.output.close_all()

    run(scene)


@pytest.mark.usefixtures("whole_lines")
def test_a_slow_journal_slows_the_worker_and_loses_nothing(benches: Benches, place: Path) -> None:
    async def scene() -> None:
        with listening(place) as server:
            bench = benches(Surroundings(journald=place))
            child = bench.start("for n in range(20_000): print('%099d' % n)", JOURNAL)
            found: list[int] = []

            def look() -> bool:
                found.extend(int(message["MESSAGE"]) for message in received(server))
                return len(found) >= 20_000

            await until(look)
            await bench.ended(child)
            assert found == list(range(20_000))
            assert bench.drops == []
            bench.output.close_all()

    run(scene)


@pytest.mark.usefixtures("whole_lines")
def test_a_stuck_journal_is_not_waited_for(benches: Benches, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "STUCK", 0.3)

    async def scene() -> None:
        with listening(place) as server:
            bench = benches(Surroundings(journald=place))
            child = bench.start("for n in range(20_000): print('%099d' % n)", JOURNAL)
            await bench.ended(child)
            await bench.output.caught_up("a")
            found = [int(message["MESSAGE"]) for message in received(server)]
            assert found == list(range(len(found)))
            assert len(found) * 100 + bench.output.dropped("a") == 2_000_000
            assert [reason for _, _, reason in bench.drops] == ["the systemd journal: nobody reads the systemd journal"]
            writer = bench.pipe(JOURNAL, "b")
            os.write(writer, b"read again\n")
            await until(lambda: [m["MESSAGE"] for m in received(server)] == [b"read again"])
            os.close(writer)
            bench.output.close_all()

    run(scene)


REAL = """
set -e
mount -t tmpfs none /run
mkdir -p /run/systemd/journal
{journald} & journald=$!
until [ -S /run/systemd/journal/socket ]; do sleep 0.05; done
{python} - <<'END'
import asyncio, os
from pathlib import Path
from fleetd.core.spec import LogSpec, LogTarget
from fleetd.shell.output import Output
async def main():
    output = Output(Path("/run/logs/acme"), on_reports=print, on_dropped=print)
    r, w = os.pipe()
    output.attach("f" * 32, r, "media:3", LogSpec(to=LogTarget.JOURNAL))
    os.write(w, b"plain\\n\\x1b[31mred\\xff\\n" + b"x" * 60_000 + b"\\n")
    os.close(w)
    output.finish("f" * 32)
    output.close_all()
asyncio.run(main())
END
for i in $(seq 600); do
    journalctl -D /run/log/journal -o json --all FLEETD_WORKER=media:3 > /run/found 2>/dev/null || true
    [ "$(wc -l < /run/found)" = 3 ] && break
    sleep 0.05
done
cat /run/found
kill $journald
wait $journald || true
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_the_real_journal_understands_it() -> None:
    need(Path(JOURNALD).exists() and shutil.which("journalctl"), "apt-get install systemd")
    script = REAL.format(journald=JOURNALD, python=sys.executable)
    began = time.time()
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=110, check=False
    )
    need("Operation not permitted" not in done.stderr, "mount namespaces")
    assert done.returncode == 0, done.stderr
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    assert [entry["MESSAGE"] for entry in entries] == [
        "plain",
        [*b"\x1b[31mred\xff"],
        "x" * 60_000,
    ]
    for entry in entries:
        assert (entry["SYSLOG_IDENTIFIER"], entry["PRIORITY"], entry["FLEETD_POOL"]) == ("media:3", "6", "media")
        assert (entry["FLEETD_INSTANCE"], entry["FLEETD_RUN"]) == ("acme", "f" * 32)
        assert int(entry["__REALTIME_TIMESTAMP"]) / 1e6 >= began - 60  # the clock may be set meanwhile
