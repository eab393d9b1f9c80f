"""A real Prometheus with the shipped rules scrapes a real daemon: alerts fire, and are gone when the cause is."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest

from tests.support.fleetd_cli import Fleetd
from tests.support.ports import free_port
from tests.support.prometheus_server import running_prometheus
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for
from tests.support.worker_pools import ready_shell

pytestmark = [pytest.mark.process, pytest.mark.redis]

SHIPPED = Path(__file__).parents[2] / "configs" / "monitoring"
PLACES = {"prefix": "alerts:", "ready": ["{prefix}{queue}"], "oldest": "first", "enqueued-at": ["at"]}


def hurried(text: str, port: int) -> str:
    """A shipped file, with a second for every time but that of rates, and the daemon's port."""
    text = re.sub(r"(?m)^(\s+for): \S+$", r"\1: 1s", text)
    text = re.sub(r"scrape_interval: \S+", "scrape_interval: 1s", text)  # as long a daemon has time to answer
    text = re.sub(r"evaluation_interval: \S+", "evaluation_interval: 500ms", text)
    return text.replace("127.0.0.1:9808", f"127.0.0.1:{port}")


@pytest.mark.timeout(180)
def test_a_crash_loop_and_a_long_wait_alert_and_recover(
    fleetd: Fleetd, shared_redis: RedisServer, tmp_path: Path
) -> None:
    fixed, port = tmp_path / "fixed", free_port()
    crashes = {
        **ready_shell(f"test -e {fixed} && echo ready && exec sleep 1000; exit 1"),
        "backoff": {"first": 0.1, "max": 0.5},
    }
    waits = {"framework": "own", "queues": ["encode"]}
    own = {"command": ["sleep", "1000"], "brokers": {"redis": PLACES}}
    broker = {"default": {"url": shared_redis.url, "every": 0.2}}
    pools, daemon = {"crashes": crashes, "waits": waits}, {"metrics-listen": f"127.0.0.1:{port}"}
    fleetd.configure(pools, framework={"own": own}, broker=broker, daemon=daemon)
    files = [(name, hurried((SHIPPED / name).read_text(), port)) for name in ("prometheus.yml", "rules.yml")]
    with shared_redis.connect() as redis, running_prometheus(tmp_path, files) as prometheus:
        redis.delete("alerts:encode")
        redis.rpush("alerts:encode", f'{{"at": {time.time() - 300}}}')
        fleetd.start(code=1)
        both = {"FleetdCrashLoop", "FleetdLongWait"}
        wait_for(lambda: both <= prometheus.firing(), "both alerts to fire", within=60, every=0.2)
        # A scrape that took too long leaves a gap until the next one.
        wait_for(lambda: prometheus.values("up") == [1.0], "it to be up")
        wait_for(lambda: prometheus.values('redis_queue_depth{queue="encode"}') == [1.0], "the queue's depth")
        waited = 'fleetd_queue_wait_seconds{queue="encode"}'
        wait_for(lambda: [295 <= seconds < 400 for seconds in prometheus.values(waited)] == [True], "the queue's wait")
        redis.delete("alerts:encode")
        fixed.touch()
        wait_for(lambda: not prometheus.firing(), "all alerts to be over", within=60, every=0.2)
        running = 'fleetd_workers{pool="crashes", state="running"}'
        wait_for(lambda: prometheus.values(running) == [1.0], "the worker to run")
        wait_for(lambda: prometheus.values('redis_queue_depth{queue="encode"}') == [0.0], "the queue to be empty")
        wait_for(lambda: prometheus.values("up") == [1.0], "it to be up still")
        (version,) = (each["metric"]["python"] for each in prometheus.ask("query", query="fleetd_build_info")["result"])
        assert version == sys.version.split()[0]
