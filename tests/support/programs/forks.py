"""Keeps 20 chains of processes going: each lives for 2 ms, in a session of its own, and leaves a successor."""

import os
import time

END = time.monotonic() + 90  # by itself, should the test fail


def hop() -> None:
    while time.monotonic() < END:
        os.setsid()
        if os.fork():
            return
        time.sleep(0.002)


for _ in range(20):
    if os.fork() == 0:
        hop()
        os._exit(0)
print("forking", flush=True)
time.sleep(1000)
