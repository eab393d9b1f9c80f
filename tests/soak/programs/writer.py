"""A worker that writes numbered lines, does counted jobs, and writes down in a ledger of its own what it did.

    python3 -I -S writer.py LEDGERS REPOSITORY [MODE…]

The ledger is a mapped file of 64-bit numbers, so that it holds what was true at the instant of a SIGKILL; `Entry` of
tests/soak/ledger.py has them in the same order.  Modes: `socket` tells jobs by fleetd.worker instead of by lines,
`leaves` ends by itself, `deaf` heeds no TERM, `family` has a child in a session of its own, and `bursts` writes more
than a pipe holds now and then.
"""

import mmap
import os
import random
import signal
import struct
import sys
import time

PID, ARMED, BEGUN, WRITTEN, DONE_BEGUN, DONE, FAILED_BEGUN, FAILED = range(8)
TERM_AT, EXIT, ENDED_AT, CHILD, DROPPED, CUT, LAST_AT, STARTED = range(8, 16)

MODES = set(sys.argv[3:])
RUN = os.environ["FLEETD_RUN"]
NAME = "{FLEETD_POOL}.{FLEETD_SLOT}.{FLEETD_RUN}".format(**os.environ)
CHANCE = random.Random(RUN)


def started() -> int:
    """Field 22 of proc(5), which with the pid tells a process from all others."""
    fd = os.open("/proc/self/stat", os.O_RDONLY)
    text = os.read(fd, 4096)
    os.close(fd)
    return int(text.rpartition(b")")[2].split()[19])


class Ledger:
    def __init__(self, folder: str) -> None:
        path = f"{folder}/{NAME}"
        try:
            fd = os.open(path + ".new", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            os.ftruncate(fd, 128)
            self._map = mmap.mmap(fd, 128)
            os.close(fd)
            self.set(PID, os.getpid())
            self.set(STARTED, started())
            os.link(path + ".new", path)  # fails when there is one: two processes for one run
            os.unlink(path + ".new")  # noqa: PTH108 - pathlib would double the time of a start
        except FileExistsError:
            os.close(os.open(f"{path}.doubled-{os.getpid()}", os.O_WRONLY | os.O_CREAT, 0o644))
            os._exit(98)

    def set(self, field: int, value: int) -> None:
        struct.pack_into("<q", self._map, 8 * field, value)

    def get(self, field: int) -> int:
        return struct.unpack_from("<q", self._map, 8 * field)[0]

    def add(self, field: int) -> int:
        value = self.get(field) + 1
        self.set(field, value)
        return value


ledger = Ledger(sys.argv[1])


def on_term(number: int, frame: object) -> None:
    if not ledger.get(TERM_AT):
        ledger.set(TERM_AT, time.monotonic_ns())


def leave(code: int) -> None:
    ledger.set(ENDED_AT, time.monotonic_ns())
    ledger.set(EXIT, code + 1)
    os._exit(code)


def say(words: str) -> None:
    number = ledger.add(BEGUN)
    try:
        os.write(1, f"{RUN} {number} {words}\n".encode())
    except BrokenPipeError:  # nobody holds the reading end: this would have killed another program
        ledger.set(CUT, 1)
        leave(99)
    ledger.set(WRITTEN, number)
    ledger.set(LAST_AT, time.monotonic_ns())


class JobsByLines:
    def do(self, number: int, fails: bool) -> None:
        job = f"job-{RUN[:12]}-{number}"
        say(f"start {job}")
        time.sleep(CHANCE.uniform(0, 0.01))
        ledger.add(FAILED_BEGUN if fails else DONE_BEGUN)
        say(f"{'failed' if fails else 'done'} {job}")
        ledger.add(FAILED if fails else DONE)

    def end(self) -> None:
        pass


class JobsBySocket:
    def __init__(self, repository: str) -> None:
        sys.path.insert(0, repository)
        from fleetd import worker  # noqa: PLC0415 - only here is it needed, and to be found

        self._worker = worker

    def do(self, number: int, fails: bool) -> None:
        job = self._worker.job("numbered", id=str(number))
        with job:
            time.sleep(CHANCE.uniform(0, 0.01))
            ledger.add(FAILED_BEGUN if fails else DONE_BEGUN)
            if fails:
                job.failed()
        ledger.add(FAILED if fails else DONE)
        say("did one")

    def end(self) -> None:
        self._worker.flush(60)
        ledger.set(DROPPED, self._worker.dropped())


def have_child() -> None:
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(1000)
    ledger.set(CHILD, child)


def work() -> None:
    signal.signal(signal.SIGTERM, on_term)
    ledger.set(ARMED, time.monotonic_ns())
    jobs = JobsBySocket(sys.argv[2]) if "socket" in MODES else JobsByLines()
    if "family" in MODES:
        have_child()
    leaves_at = time.monotonic() + CHANCE.uniform(0.3, 4.0) if "leaves" in MODES else None
    number = 0
    while "deaf" in MODES or not ledger.get(TERM_AT):
        number += 1
        jobs.do(number, fails=CHANCE.random() < 0.1)
        for _ in range(CHANCE.choice((0, 1, 1, 8))):
            say("line")
        if "bursts" in MODES and CHANCE.random() < 0.01:
            for _ in range(2000):
                say("burst")
        time.sleep(CHANCE.uniform(0.005, 0.06))
        if leaves_at is not None and time.monotonic() > leaves_at:
            jobs.end()
            leave(CHANCE.choice((0, 0, 7)))
    jobs.end()
    leave(0)


work()
