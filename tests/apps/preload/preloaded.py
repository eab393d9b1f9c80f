"""An application that is slow to import, and says what its workers are."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = Path(os.environ["PRELOAD_ROOT"])
RELEASE = HERE.name
IMPORTED_BY = os.getpid()
IMPORTED_WITH = dict(os.environ)
TABLE = list(range(200_000))  # memory that every worker shares

os.environ.setdefault("SET_BY_THE_IMPORT", "yes")
logging.basicConfig(level=logging.INFO, format="%(name)s says %(message)s")

with (ROOT / "imports").open("a") as imports:
    imports.write(f"{RELEASE} {IMPORTED_BY}\n")
print(f"release {RELEASE} is imported", flush=True)


def told() -> dict[str, object]:
    """What this worker is."""
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "session": os.getsid(0),
        "release": RELEASE,
        "template": IMPORTED_BY,
        "template_environment": IMPORTED_WITH,
        "environment": dict(os.environ),
        "directory": str(Path.cwd()),
        "path": sys.path[0],
        "argv": sys.argv,
        "random": random.random(),
        "term": str(signal.getsignal(signal.SIGTERM)),
        "stdin": sys.stdin.read(),
        "threads": threading.active_count(),
    }


def work() -> None:
    """Say what we are, and wait for the end."""
    path = ROOT / f"worker-{os.environ['FLEETD_SLOT']}"
    path.with_suffix(".new").write_text(json.dumps(told()))
    path.with_suffix(".new").replace(path)
    logging.getLogger("app").info("at work")
    while True:
        signal.pause()


def crash() -> None:
    """Fail after a while that is long enough to be healthy."""
    time.sleep(float(os.environ.get("CRASH_AFTER", "0")))
    raise RuntimeError("on demand")


def code() -> int:
    """Exit with a code."""
    return int(os.environ["EXIT_CODE"])


def families() -> None:
    """A child that leaves us in every way but one: it is forked, and does not exec."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            (ROOT / "orphan").write_text(str(os.getpid()))
            signal.pause()
        os._exit(0)
    os.wait()
    work()
