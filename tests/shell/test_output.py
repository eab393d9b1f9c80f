"""Output of real child processes through real pipes."""

from __future__ import annotations

import asyncio
import errno
import gzip
import os
import re
import resource
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleetd.core.spec import LogFormat, LogSpec
from fleetd.shell import stream
from fleetd.shell.formats import format_of
from tests.support.output_bench import JSON, LINES, NOWHERE, PREFIX, RAW, Bench, DoneLines, as_written, run, until

pytestmark = pytest.mark.process

Benches = Callable[[], Bench]
FORMATS = ["prefix", "raw", "json"]


def test_each_line_gets_time_and_worker(benches: Benches) -> None:
    async def scene() -> None:
        bench = benches()
        child = bench.start("import sys; print('one'); print('two', file=sys.stderr); print(); print('four', end='')")
        await bench.ended(child)
        assert sorted(bench.unprefixed.split(b"\n")) == sorted([b"one", b"", b"four", b"two", b""])
        assert len(PREFIX.findall(bench.written)) == 4
        assert bench.output.last_lines("a", 1) in {("four",), ("two",)}
        assert oct(bench.log.stat().st_mode)[-3:] == "640"
        assert oct(bench.directory.stat().st_mode)[-3:] == ("751" if os.geteuid() == 0 else "750")
        bench.output.close_all()

    run(scene)


def test_raw_output_is_written_as_it_is(benches: Benches) -> None:
    async def scene() -> None:
        bench = benches()
        child = bench.start("import os; os.write(1, bytes(range(256)) * 300 + b'no end')", RAW)
        await bench.ended(child)
        assert bench.written == bytes(range(256)) * 300 + b"no end"
        bench.output.close_all()

    run(scene)


@pytest.mark.usefixtures("whole_lines")
@pytest.mark.parametrize("log", [LINES, RAW, JSON], ids=FORMATS)
def test_a_flood_loses_and_tears_nothing(benches: Benches, log: LogSpec) -> None:
    lines = 500_000

    async def scene() -> None:
        bench = benches()
        child = bench.start(f"import sys\nfor n in range({lines}): sys.stdout.write(f'{{n:099d}}\\n')", log)
        slowest, before = 0.0, time.thread_time()  # its own work: the machine has other things to do
        while child.poll() is None:
            await asyncio.sleep(0)
            slowest, before = max(slowest, time.thread_time() - before), time.thread_time()
        await bench.ended(child)
        text = bench.text(log)
        assert text == b"".join(b"%099d\n" % n for n in range(lines))
        assert slowest < 1.0  # the loop had its turns
        bench.output.close_all()

    run(scene)


@pytest.mark.usefixtures("whole_lines")
@pytest.mark.parametrize("compress", [False, True], ids=["", "compressed"])
@pytest.mark.parametrize("form", LogFormat)
def test_rotation_while_flooding_loses_and_tears_no_line(benches: Benches, form: LogFormat, compress: bool) -> None:
    log = LogSpec(format=form, max_size=500_000, keep=1000, compress=compress)
    lines = 50_000

    async def scene() -> None:
        bench = benches()
        program = f"import sys\nfor n in range({lines}): sys.stdout.write(f'{{n:099d}}\\n')"
        floods = {run: bench.start(program, log, run) for run in ("a", "b", "c")}  # all of one slot: one file
        for run_id, flood in floods.items():
            await bench.ended(flood, run_id)
        # Runs of one slot may tear each other's lines where nothing but bytes are moved.
        files = [(path, read(path)) for path in bench.directory.glob("media-0.log*") if path.suffix != ".new"]
        numbers = [line for _, text in files for line in as_written(text, form).splitlines()]
        assert len(files) >= 25
        assert max(len(text) for _, text in files) < 500_000 + 128 * 1024
        if form is LogFormat.RAW:
            assert sum(map(len, numbers)) == 3 * 99 * lines
        else:
            assert sorted(map(int, numbers)) == sorted([*range(lines)] * 3)
        if compress:
            await until(lambda: len(list(bench.directory.glob("*.log.*.gz"))) == len(files) - 1)
            texts = sorted(read(path) for path in bench.directory.glob("media-0.log*"))
            assert texts == sorted(text for _, text in files)
        bench.output.close_all()

    run(scene)


def read(path: Path) -> bytes:
    """A log file or a predecessor of one, decompressed."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


@pytest.mark.usefixtures("whole_lines")
def test_logs_of_many_floods_lose_no_line_of_any(benches: Benches) -> None:
    lines = 40_000

    async def scene() -> None:
        bench = benches()
        program = f"import sys\nfor n in range({lines}): sys.stdout.write(f'{{n:099d}}\\n')"
        floods = {}
        for slot, form in enumerate([*LogFormat] * 2):
            log = LogSpec(format=form, max_size=200_000, keep=1000, compress=slot >= 3)
            floods[f"media:{slot}"] = bench.start(program, log, f"r{slot}", worker=f"media:{slot}")
        for slot, flood in enumerate(floods.values()):
            await bench.ended(flood, f"r{slot}")
        bench.output.close_all()
        for slot in range(6):
            log_file = bench.directory / f"media-{slot}.log"
            parts = {
                int(re.findall(r"\d+", part.name)[-1]): part for part in bench.directory.glob(f"{log_file.name}.[0-9]*")
            }
            texts = [read(parts[number]) for number in sorted(parts, reverse=True)] + [read(log_file)]
            assert all(text.endswith(b"\n") for text in texts)
            numbers = [int(digits) for text in texts for digits in re.findall(rb"\b\d{99}\b", text)]
            assert numbers == list(range(lines))

    run(scene)


def test_only_so_many_old_files_are_kept(benches: Benches) -> None:
    async def scene() -> None:
        bench = benches()
        for keep, files in ((3, 4), (1, 2), (0, 1)):
            log = LogSpec(max_size=200_000, keep=keep)
            run_id = f"r{keep}"
            await bench.ended(bench.start("for n in range(20_000): print(f'{n:099d}')", log, run_id), run_id)
            bench.output.close(run_id)
            if keep:
                assert len(list(bench.directory.glob("media-0.log*"))) == files
            assert bench.log.stat().st_size <= 200_000
        bench.output.close_all()

    run(scene)


@pytest.mark.parametrize("log", [LINES, JSON], ids=["prefix", "json"])
def test_an_endless_line_is_written_in_pieces(benches: Benches, log: LogSpec) -> None:
    async def scene() -> None:
        bench = benches()
        child = bench.start("import sys; sys.stdout.write('x' * 10_000_000 + '\\nend\\n')", log)
        await bench.ended(child)
        lines = bench.text(log).split(b"\n")
        assert b"".join(lines) == b"x" * 10_000_000 + b"end"
        assert max(map(len, lines)) <= 64 * 1024
        assert bench.output.last_lines("a", 1) == ("end",)
        bench.output.close_all()

    run(scene)


@pytest.mark.usefixtures("whole_lines")
def test_chunks_cut_lines_and_characters_anywhere(benches: Benches) -> None:
    async def scene() -> None:
        bench = benches()
        writer = bench.pipe()
        text = "grün und weiß 你好\n\ndone 1\r\n".encode() * 3
        for at in range(len(text)):
            os.write(writer, text[at : at + 1])
            if at % 7 == 0:
                await asyncio.sleep(0.002)
        await until(lambda: bench.unprefixed == text)
        assert [line for _, line in bench.reports] == [b"done 1\r"] * 3
        assert bench.output.last_lines("a", 3) == ("grün und weiß 你好", "", "done 1")
        os.close(writer)
        bench.output.close_all()

    run(scene)


def test_the_last_lines_of_a_slot_that_is_gone_are_let_go_of(benches: Benches) -> None:
    async def scene() -> None:
        bench = benches()
        child = bench.start("print('one')")
        await bench.ended(child)
        bench.output.drop("media:0")
        assert bench.output.last_lines_of("media:0") == ("one",), "its run is not closed"
        bench.output.close("a")
        bench.output.drop("media:0")
        assert bench.output.last_lines_of("media:0") == ()
        assert bench.unprefixed == b"one\n"
        bench.output.close_all()

    run(scene)


def test_last_lines_are_safe_for_a_terminal(benches: Benches) -> None:
    async def scene() -> None:
        bench = benches()
        writer = bench.pipe()
        os.write(writer, b"\x1b[31mred\x1b[0m\x1b]0;title\x07 \xff\xfe bell\x07 back\x08 tab\t.\n10%\r20%\n")
        os.close(writer)
        bench.output.finish("a")
        assert bench.output.last_lines("a") == ("red \ufffd\ufffd bell\\x07 back\\x08 tab\t.", "10%", "20%")
        assert b"\x1b[31mred" in bench.written
        bench.output.close("a")
        assert bench.output.last_lines("a") == ()
        assert bench.output.last_lines_of("media:0", 1) == ("20%",)
        bench.output.close_all()

    run(scene)


def test_a_beginning_without_an_end_is_written_after_a_while(benches: Benches) -> None:
    async def scene() -> None:
        bench = benches()
        writer = bench.pipe()
        started = time.monotonic()
        os.write(writer, b"first\nContinue? ")
        await until(lambda: bench.unprefixed.startswith(b"first\n"))
        await until(lambda: bench.unprefixed == b"first\nContinue? \n")
        assert time.monotonic() - started > 0.5
        os.close(writer)
        bench.output.close_all()

    run(scene)


def test_eof_while_the_worker_lives_costs_nothing(benches: Benches) -> None:
    async def scene() -> None:
        bench = benches()
        child = bench.start("import os, time; os.write(1, b'bye'); os.close(1); os.close(2); time.sleep(60)")
        await until(lambda: bench.unprefixed == b"bye\n")
        await asyncio.sleep(0.1)
        used = time.process_time()
        await asyncio.sleep(0.5)
        assert time.process_time() - used < 0.02
        child.kill()
        await bench.ended(child)
        bench.output.close("a")
        bench.output.close_all()

    run(scene)


def test_a_flooding_grandchild_does_not_hold_up_the_end(benches: Benches) -> None:
    async def scene() -> None:
        bench = benches()
        child = bench.start(
            "import os, subprocess, sys\n"
            'flood = \'import os\\nwhile True: os.write(1, b"y" * 99 + b"\\\\n")\'\n'
            "p = subprocess.Popen([sys.executable, '-c', flood])\n"
            "print('grandchild', p.pid, flush=True)",
            NOWHERE,
        )
        follower: list[str] = []
        bench.output.follow(lambda _worker, lines, _left_out: follower.extend(lines))
        await until(lambda: child.poll() is not None)
        await until(lambda: any(line.startswith("grandchild") for line in follower))
        grandchild = int(next(line for line in follower if line.startswith("grandchild")).split()[1])
        try:
            started = time.monotonic()
            bench.output.finish("a")
            bench.output.close("a")
            assert time.monotonic() - started < 5  # the flood goes on for ever
        finally:
            os.kill(grandchild, 9)
        bench.output.close_all()

    run(scene)


def test_nothing_wakes_up_while_nobody_writes(benches: Benches) -> None:
    async def scene() -> None:
        bench = benches()
        writers = [bench.pipe(LINES, f"r{n}") for n in range(50)]
        os.write(writers[7], b"held back")
        await until(lambda: bench.unprefixed == b"held back\n")
        await asyncio.sleep(0.1)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
        await asyncio.sleep(1.2)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before <= 2  # the sleep's own
        os.write(writers[7], b" and more\n")
        await until(lambda: bench.unprefixed == b"held back\n and more\n")
        for writer in writers:
            os.close(writer)
        bench.output.close_all()

    run(scene)


@pytest.mark.usefixtures("whole_lines")
def test_two_runs_of_a_slot_share_the_file_without_torn_lines(benches: Benches) -> None:
    async def scene() -> None:
        bench = benches()
        program = "import os\nfor n in range(20_000): os.write(1, b'%s%06d' % (b'{0}' * 60, n)); os.write(1, b'\\n')"
        old = bench.start(program.replace("{0}", "o"), run="old")
        new = bench.start(program.replace("{0}", "n"), run="new")
        await bench.ended(old, "old")
        bench.output.close("old")
        await bench.ended(new, "new")
        lines = bench.unprefixed.splitlines()
        for letter in (b"o", b"n"):
            assert [line for line in lines if line.startswith(letter)] == [
                letter * 60 + b"%06d" % n for n in range(20_000)
            ]
        assert len(lines) == 40_000
        bench.output.close_all()

    run(scene)


def test_two_floods_of_a_slot_tear_no_line_of_a_raw_log(benches: Benches) -> None:
    """An old run that is drained and its successor, with more in their pipes than one call takes."""

    async def scene() -> None:
        bench = benches()
        program = "import os\nlines = [b'%s%06d\\n' % (b'{0}' * 60, n) for n in range(20_000)]\n"
        program += "for n in range(0, 20_000, 50): os.write(1, b''.join(lines[n:n + 50]))"
        runs = {name: bench.start(program.replace("{0}", name[0]), RAW, run=name) for name in ("old", "new")}
        for name, child in runs.items():
            await bench.ended(child, name)
            bench.output.close(name)
        lines = bench.written.splitlines()
        for letter in (b"o", b"n"):
            mine = [line for line in lines if line.startswith(letter)]
            assert mine == [letter * 60 + b"%06d" % n for n in range(20_000)]
        assert len(lines) == 40_000
        bench.output.close_all()

    run(scene)


@pytest.mark.parametrize("log", [LINES, RAW, JSON], ids=FORMATS)
def test_what_cannot_be_written_is_dropped_counted_and_told_once(
    benches: Benches, log: LogSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SETTLED", 60.0)

    async def scene() -> None:
        bench = benches()
        bench.directory.mkdir(parents=True)
        target = bench.directory / "elsewhere"
        bench.log.symlink_to(target)
        writer = bench.pipe(log)
        for n in range(1, 4):
            os.write(writer, b"done %d\n" % n)
            await until(lambda n=n: bench.output.dropped("a") == 7 * n)  # type: ignore[misc]
        assert not target.exists()
        assert bench.drops == [("a", 7, f"{bench.log}: {os.strerror(errno.ELOOP)}")]
        bench.log.unlink()
        os.write(writer, b"done 4\n")
        await until(lambda: bench.text(log).endswith(b"done 4\n"))
        assert len(bench.drops) == 1  # it may fail again in a moment
        monkeypatch.setattr(stream, "SETTLED", 1.0)
        while len(bench.drops) == 1:
            os.write(writer, b"tick\n")
            await asyncio.sleep(0.05)
        assert bench.drops[1:] == [("a", 21, "")]
        assert [line for _, line in bench.reports] == [b"done %d" % n for n in range(1, 5)]
        assert bench.output.last_lines("a", 1) == ("tick",)
        assert bench.output.dropped_by_pool() == {"media": 21}
        os.close(writer)
        bench.output.close_all()
        assert bench.output.dropped_by_pool() == {"media": 21}, "of runs that are over, too"

    run(scene)


@pytest.mark.parametrize("log", ["prefix", "raw", "json"])
def test_a_full_disk_holds_no_worker_up(directory: Path, log: str) -> None:
    """RLIMIT_FSIZE stands for the end of the disk: write and splice fail in the same place, with another errno."""
    scene = f"""
import asyncio, os, resource, sys
from pathlib import Path
from fleetd.core.spec import LogFormat, LogSpec
from fleetd.shell import output as module
from fleetd.shell.output import Output
module.UNFINISHED = 60.0
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
async def main():
    told = []
    output = Output(Path({str(directory)!r}), on_reports=print, on_dropped=lambda *what: told.append(what))
    r, w = os.pipe()
    output.attach("a", r, "media:0", LogSpec(format=LogFormat({log!r}), max_size=0))
    program = "for n in range(10_000): print('%099d' % n)"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=w)
    os.close(w)
    await child.wait()
    output.finish("a")
    log = Path({str(directory)!r}, "media-0.log")
    written = log.read_bytes()
    kept = len(written) if {log!r} == "raw" else written.count(b"\\n") * 100
    assert kept + output.dropped("a") == 1_000_000
    assert output.dropped("a") > 600_000
    assert {log!r} == "raw" or written.endswith(b"\\n")
    assert len(told) == 1 and "File too large" in told[0][2], told
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    output.close_all()
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", scene], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_a_moved_log_is_gone_on_with_after_reopen(benches: Benches) -> None:
    async def scene() -> None:
        bench = benches()
        writer = bench.pipe()
        os.write(writer, b"one\n")
        await until(lambda: bench.unprefixed == b"one\n")
        bench.log.rename(bench.directory / "moved")
        os.write(writer, b"two\n")
        await until(lambda: (bench.directory / "moved").read_bytes().endswith(b"two\n"))
        bench.output.reopen()
        os.write(writer, b"three\n")
        await until(lambda: bench.unprefixed == b"three\n")
        assert bench.output.path("media:0") == bench.log
        os.close(writer)
        bench.output.close_all()

    run(scene)


@pytest.mark.parametrize("log", [LINES, RAW, JSON], ids=FORMATS)
def test_a_log_that_others_move_remove_or_empty_is_gone_on_with(benches: Benches, log: LogSpec) -> None:
    async def scene() -> None:
        bench = benches()
        writer = bench.pipe(log)
        numbers = iter(range(10**6))

        async def writes_until(condition: Callable[[], bool]) -> None:
            while not condition():
                os.write(writer, b"%05d\n" % next(numbers))
                await asyncio.sleep(0.005)

        await writes_until(lambda: bench.log.exists() and bench.log.stat().st_size > 500)
        moved = bench.log.with_suffix(".moved")
        bench.log.rename(moved)
        await writes_until(lambda: bench.log.exists() and bench.log.stat().st_size > 500)
        lines = as_written(moved.read_bytes(), log.format) + as_written(bench.written, log.format)
        assert lines.split() == [b"%05d" % n for n in range(len(lines.split()))], "each once, in order"

        bench.log.unlink()
        await writes_until(lambda: bench.log.exists() and bench.log.stat().st_size > 500)
        assert bench.output.offset("media:0") == bench.log.stat().st_size

        os.truncate(bench.log, 0)
        await writes_until(lambda: bench.log.stat().st_size > 100)
        assert b"\0" not in bench.written
        assert bench.output.offset("media:0") == bench.log.stat().st_size
        assert set(map(len, bench.text(log).split())) == {5}

        with bench.log.open("ab") as other:
            other.write(b"of another process\n")
        await writes_until(lambda: bench.written.count(b"\n") > 20)
        assert b"\nof another process\n" in bench.written
        os.close(writer)
        bench.output.close_all()

    run(scene)


def test_a_log_in_whose_place_something_else_came_is_not_lost(benches: Benches) -> None:
    async def scene() -> None:
        bench = benches()
        writer = bench.pipe(LINES)
        os.write(writer, b"one\n")
        await until(lambda: bench.unprefixed == b"one\n")
        bench.log.rename(moved := bench.log.with_suffix(".moved"))
        bench.log.symlink_to("/dev/null")
        while b"late" not in moved.read_bytes():
            os.write(writer, b"late\n")
            await asyncio.sleep(0.3)
        await asyncio.sleep(1.1)
        os.write(writer, b"still here\n")
        await until(lambda: moved.read_bytes().endswith(b"still here\n"))
        assert bench.drops == []
        os.close(writer)
        bench.output.close_all()

    run(scene)


def test_the_format_may_change_while_a_run_writes(benches: Benches) -> None:
    async def scene() -> None:
        bench = benches()
        writer = bench.pipe(RAW)
        os.write(writer, b"raw, unfinished")
        await until(lambda: bench.written == b"raw, unfinished")
        bench.output.reconfigure("media:0", LINES)
        os.write(writer, b"lines\n")
        await until(lambda: bench.written.endswith(b"media:0 lines\n"))
        assert bench.written.startswith(b"raw, unfinished\n2")
        bench.output.reconfigure("media:0", NOWHERE)
        assert bench.output.path("media:0") is None
        os.write(writer, b"done\n")
        await until(lambda: bench.reports == [("a", b"done")])
        os.close(writer)
        bench.output.close_all()

    run(scene)


@pytest.mark.parametrize("log", [LINES, RAW, JSON], ids=FORMATS)
def test_a_new_daemon_scans_what_the_old_one_wrote_and_did_not_report(benches: Benches, log: LogSpec) -> None:
    async def scene() -> None:
        first = benches()
        reader, writer = os.pipe2(os.O_CLOEXEC)
        first.output.attach("a", os.dup(reader), "media:0", log, DoneLines())
        os.write(writer, b"done 1\n")
        await until(lambda: len(first.reports) == 1)
        journalled = first.output.offset("media:0")
        os.write(writer, b"done 2\nnoise\n")
        await until(lambda: len(first.reports) == 2)
        first.output.close_all()
        os.write(writer, b"done 3\n")

        second = benches()
        second.output.attach("a", reader, "media:0", log, DoneLines(), offset=journalled)
        await until(lambda: len(second.reports) == 2)
        assert [line for _, line in second.reports] == [b"done 2", b"done 3"]
        assert second.output.last_lines("a") == ("done 2", "noise", "done 3")
        assert second.output.offset("media:0") == second.log.stat().st_size
        os.close(writer)
        second.output.close_all()

    run(scene)


@pytest.mark.parametrize("log", [LINES, JSON], ids=["prefix", "json"])
def test_a_line_that_was_half_written_by_a_killed_daemon_is_whole(benches: Benches, log: LogSpec) -> None:
    form = format_of(log.format, "media:0", time.time)
    whole = form.encode(b"done 1\n")

    async def scene() -> None:
        bench = benches()
        bench.log.parent.mkdir(parents=True, exist_ok=True)
        bench.log.write_bytes(whole + form.encode(b"done 2\n")[:-3])
        reader, writer = os.pipe2(os.O_CLOEXEC)
        os.write(writer, b"done 2\n")
        bench.output.attach("a", reader, "media:0", log, DoneLines(), offset=len(whole))
        assert bench.output.offset("media:0") == len(whole), "a mark beyond it would hide what comes in its place"
        await until(lambda: bool(bench.reports))
        assert bench.reports == [("a", b"done 2")]
        first, second = bench.log.read_bytes().splitlines(keepends=True)
        assert first == whole
        assert form.decode(second) == b"done 2\n"
        os.close(writer)
        bench.output.close_all()

    run(scene)


def test_a_job_line_that_was_half_written_at_the_restart_counts_once(benches: Benches) -> None:
    async def scene() -> None:
        first = benches()
        reader, writer = os.pipe2(os.O_CLOEXEC)
        first.output.attach("a", os.dup(reader), "media:0", RAW, DoneLines())
        os.write(writer, b"done 1\ndone")
        await until(lambda: first.written == b"done 1\ndone")
        journalled = first.output.offset("media:0")
        first.output.close_all()
        os.write(writer, b" 2\n")

        second = benches()
        second.output.attach("a", reader, "media:0", RAW, DoneLines(), offset=journalled)
        await until(lambda: bool(second.reports))
        assert (first.reports, second.reports) == ([("a", b"done 1")], [("a", b"done 2")])
        assert second.output.offset("media:0") == second.output.offset("media:0") == len(b"done 1\ndone 2\n")
        os.close(writer)
        second.output.close_all()

    run(scene)


@pytest.mark.parametrize("log", [replace(LINES, max_size=2300), replace(RAW, max_size=310)], ids=["prefix", "raw"])
def test_two_runs_of_a_slot_are_scanned_once_where_their_log_was_rotated(benches: Benches, log: LogSpec) -> None:
    async def scene() -> None:
        first = benches()
        readers = {}
        writers = {}
        for name in ("old", "new"):
            readers[name], writers[name] = os.pipe2(os.O_CLOEXEC)
            first.output.attach(name, os.dup(readers[name]), "media:0", log, DoneLines())
        os.write(writers["old"], b"noise\n" * 50)
        await until(lambda: first.written.count(b"noise") == 50)
        journalled = first.output.offset("media:0")
        os.write(writers["old"], b"noise\n" * 5)
        await until(lambda: first.written.count(b"noise") in {5, 55})
        os.write(writers["old"], b"done 1\n")  # in another file
        await until(lambda: len(first.reports) == 1)
        assert first.log.stat().st_size < journalled
        first.output.close_all()

        second = benches()
        for name, reader in readers.items():
            assert second.output.scanned("media:0") is None or name == "new"
            second.output.attach(name, reader, "media:0", log, DoneLines(), offset=journalled)
        assert second.reports == [("old", b"done 1")]
        assert second.output.scanned("media:0") == second.log.stat().st_size
        for writer in writers.values():
            os.close(writer)
        second.output.close_all()

    run(scene)


@pytest.mark.usefixtures("whole_lines")
def test_close_all_leaves_in_the_pipe_what_was_not_read(benches: Benches) -> None:
    async def scene() -> None:
        bench = benches()
        reader, writer = os.pipe2(os.O_CLOEXEC)
        bench.output.attach("a", os.dup(reader), "media:0", LINES)
        os.write(writer, b"whole\nhalf a li")
        await until(lambda: bench.unprefixed == b"whole\n")
        bench.output.close_all()
        assert select.select([reader], [], [], 0)[0]
        assert os.read(reader, 100) == b"half a li"
        os.close(reader)
        os.close(writer)

    run(scene)


@pytest.mark.usefixtures("whole_lines")
def test_a_follower_sees_whole_safe_lines_until_it_goes(benches: Benches) -> None:
    async def scene() -> None:
        bench = benches()
        seen: list[tuple[str, tuple[str, ...], int]] = []
        leave = bench.output.follow(lambda *told: seen.append(told))
        writer = bench.pipe(NOWHERE)
        os.write(writer, b"a\x1b[2J\nb")
        await until(lambda: seen == [("media:0", ("a",), 0)])
        os.write(writer, b"c\n")
        await until(lambda: seen[1:] == [("media:0", ("bc",), 0)])
        os.write(writer, b"\n" * 1000)
        await until(lambda: len(seen) == 3)
        assert seen[2] == ("media:0", ("",) * 200, 800)
        leave()
        os.write(writer, b"done unseen\n")
        await until(lambda: bench.reports == [("a", b"done unseen")])
        assert len(seen) == 3
        os.close(writer)
        bench.output.close_all()

    run(scene)
