"""Calls in threads: their answers, their number, and that nobody waits for one that does not come back."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading

import pytest

from fleetd.brokers.threads import Threads


def test_answers_and_errors_come_back() -> None:
    async def whole() -> None:
        threads = Threads(1)
        assert await threads.run(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await threads.run(lambda: 1 // 0)
        assert await threads.run(threading.get_ident) != threading.get_ident()

    asyncio.run(whole())


def test_signals_are_left_to_the_main_thread() -> None:
    def blocked() -> bool:
        return {signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD} <= signal.pthread_sigmask(signal.SIG_BLOCK, [])

    assert asyncio.run(Threads(1).run(blocked))
    assert not blocked()


def test_a_call_left_behind_keeps_its_place_until_it_comes_back() -> None:
    async def whole() -> None:
        threads, stuck, begun = Threads(2), threading.Event(), threading.Barrier(3)

        def call() -> None:
            begun.wait(20)
            assert stuck.wait(20)

        calls = [asyncio.ensure_future(threads.run(call)) for _ in range(5)]
        await asyncio.to_thread(begun.wait, 20)
        for each in calls:
            each.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await threads.run(pytest.fail)
        stuck.set()
        assert await threads.run(lambda: 7) == 7

    asyncio.run(whole())


def test_neither_the_loop_nor_the_program_waits_for_one() -> None:
    program = """
import asyncio, time
from fleetd.brokers.threads import Threads
async def main():
    try:
        async with asyncio.timeout(0.05):
            await Threads(1).run(lambda: time.sleep(600))
    except TimeoutError:
        print("left")
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "left\n", "")


def test_a_call_that_comes_back_after_its_loop_is_nobodys() -> None:
    stuck = threading.Event()

    async def left() -> threading.Thread:
        before = set(threading.enumerate())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await Threads(1).run(lambda: stuck.wait(20))
        (thread,) = set(threading.enumerate()) - before
        return thread

    thread = asyncio.run(left())
    stuck.set()
    thread.join(20)
    assert not thread.is_alive()
