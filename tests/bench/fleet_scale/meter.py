"""What Redis and this process have used between two moments."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis


@dataclass(frozen=True, slots=True)
class Reading:
    """Totals so far.  Seconds, bytes, counts."""

    at: float
    commands: int  # that clients sent, as reads from their sockets: one each, up to 16 KB
    inside: int  # that scripts called
    redis_cpu: float
    received: int
    sent: int
    script: float  # seconds inside EVALSHA
    own_cpu: float

    def since(self, before: Reading) -> Reading:
        """What was used since then; `at` is how long that was."""
        pairs = ((getattr(self, name), getattr(before, name)) for name in self.__dataclass_fields__)
        return Reading(*(now - then for now, then in pairs))


def read(client: redis.Redis) -> Reading:
    """Now."""
    at, own_cpu = time.monotonic(), time.process_time()
    info: Mapping[str, Any] = client.info("everything")
    calls = {name: entry for name, entry in info.items() if name.startswith("cmdstat_")}
    requests = info["total_reads_processed"]
    return Reading(
        at=at,
        commands=requests,
        inside=sum(entry["calls"] for entry in calls.values()) - requests,
        redis_cpu=info["used_cpu_user"] + info["used_cpu_sys"],
        received=info["total_net_input_bytes"],
        sent=info["total_net_output_bytes"],
        script=calls.get("cmdstat_evalsha", {"usec": 0})["usec"] / 1e6,
        own_cpu=own_cpu,
    )


def rss() -> int:
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
