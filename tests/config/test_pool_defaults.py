"""Defaults that depend on something else: on the framework, on other keys, on {slot}."""

from __future__ import annotations

import pytest

from fleetd.core.spec import Amount, GiveUp, LogFormat, LogTarget, PoolSpec, Ready, Restart
from tests.support.pool_files import load_text

COMMAND = 'command = ["worker"]\n'
LARAVEL = 'framework = "laravel"\n'
RQ = 'framework = "rq"\n'
BULLMQ = 'framework = "bullmq"\n'


def pool_of(keys: str, before: str = "") -> PoolSpec:
    loaded = load_text(f"{before}\n[pool.media]\n{keys}")
    assert loaded.problems == ()
    assert loaded.spec is not None
    return loaded.spec.pools["media"]


def test_a_pool_with_nothing_but_a_command() -> None:
    pool = pool_of(COMMAND)
    assert pool == PoolSpec(name="media", launch=pool.launch)
    assert (pool.launch.command, pool.launch.shown_command) == (("worker",), ("worker",))
    assert (pool.ready, pool.restart, pool.max_surge, pool.max_unavailable) == (
        Ready.AGE, Restart.ALWAYS, Amount(1), Amount(0),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "seconds"),
    [
        (COMMAND, 10),
        (COMMAND + 'job-timeout = "1h"', 3610),
        (COMMAND + 'job-timeout = "1h"\nstop-timeout = 5', 5),
        (LARAVEL, 70),
        (RQ, 190),
        (RQ + "job-timeout = 30", 40),
        (RQ + 'stop-timeout = "2h"', 7200),
    ],
)
def test_stop_timeout(keys: str, seconds: float) -> None:
    assert pool_of(keys).stop_timeout == seconds


@pytest.mark.parametrize(
    ("keys", "codes"),
    [(COMMAND, {0}), (LARAVEL, {0, 12}), (LARAVEL + "exit-codes = [3]", {3}), (COMMAND + "exit-codes = []", set())],
)
def test_exit_codes(keys: str, codes: set[int]) -> None:
    assert pool_of(keys).exit_codes == codes


@pytest.mark.parametrize(
    ("keys", "ready"),
    [
        (COMMAND, Ready.AGE),
        (LARAVEL, Ready.AGE),  # reports jobs, but has no ready line
        (RQ, Ready.LINE),
        (RQ + 'ready = "age"', Ready.AGE),
        (RQ + 'ready = "notify"', Ready.NOTIFY),
        (COMMAND + 'ready = "auto"', Ready.AGE),
        (BULLMQ, Ready.AGE),  # not every script prints the ready line
        (BULLMQ + 'ready = "line"', Ready.LINE),
    ],
)
def test_ready(keys: str, ready: Ready) -> None:
    assert pool_of(keys).ready is ready


@pytest.mark.parametrize(
    ("keys", "surge", "unavailable"),
    [
        (COMMAND, Amount(1), Amount(0)),
        (COMMAND + 'max-surge = "50%"', Amount(share=0.5), Amount(0)),
        (COMMAND + "max-surge = 0\nmax-unavailable = 1", Amount(0), Amount(1)),
        ('command = ["worker", "{slot}"]', Amount(0), Amount(share=1.0)),
        ('command = ["worker", "{{slot}"]', Amount(1), Amount(0)),
        (COMMAND + 'env = { CUDA_VISIBLE_DEVICES = "{slot}" }', Amount(0), Amount(share=1.0)),
        (COMMAND + 'directory = "/srv/{slot}"', Amount(0), Amount(share=1.0)),
        (COMMAND + 'directory = "/srv/{pool}"', Amount(1), Amount(0)),
        (COMMAND + 'directory = "/srv/{slot}"\nmax-surge = 1', Amount(1), Amount(share=1.0)),
        (COMMAND + "singleton = true", Amount(0), Amount(share=1.0)),
        (RQ + 'options = { arguments = "--name w-{slot}" }', Amount(0), Amount(share=1.0)),
    ],
)
def test_rolling(keys: str, surge: Amount, unavailable: Amount) -> None:
    pool = pool_of(keys)
    assert (pool.max_surge, pool.max_unavailable) == (surge, unavailable)


def test_a_framework_that_enforces_limits_does_so_only_by_its_own_command() -> None:
    own = pool_of(LARAVEL + 'max-jobs = 5\njob-timeout = "1m"')
    assert (own.counts_own_jobs, own.times_own_jobs) == (True, True)
    assert {"--max-jobs=5", "--timeout=60"} <= set(own.launch.command)
    given = pool_of(LARAVEL + 'command = "php artisan horizon:work"\nmax-jobs = 5\njob-timeout = "1m"')
    assert (given.counts_own_jobs, given.times_own_jobs) == (False, False)
    assert given.reports_jobs
    assert given.launch.command == ("php", "artisan", "horizon:work")


def test_what_the_framework_says() -> None:
    pool = pool_of(LARAVEL + 'queues = ["transcoding", "media"]')
    assert "--queue=transcoding,media" in pool.launch.command
    assert (pool.pause_signal, pool.resume_signal, pool.stop_signal) == (12, 18, 15)
    assert pool.exit_reasons == {12: "max-memory"}
    assert pool.jobs_at_once == 1
    assert pool.patterns


@pytest.mark.parametrize(
    ("keys", "known"),
    [
        (RQ + 'queues = ["high", "low"]', ("high", "low")),
        (RQ, ()),
        (RQ + 'queues = ["high", "of-{slot}"]', ()),
        (RQ + 'queues = ["high"]\ncommand = "rq worker high low"', ()),
        (LARAVEL + 'queues = ["high"]', ()),  # on SQS it names the URL of the queue
    ],
)
def test_only_known_queues_can_be_named_by_a_framework_that_names_them_as_the_pool_does(
    keys: str, known: tuple[str, ...]
) -> None:
    assert pool_of(keys).only_queues == known


def test_a_framework_of_the_pool_file() -> None:
    before = """
[framework.mine]
command = ["serve", ["--jobs", "{max-jobs}"], "{queues...}"]
drain-signal = "INT"
exit-codes = [7]
stop-timeout = "30s"
enforces = ["max-jobs"]
env = { MODE = "worker" }
"""
    pool = pool_of('framework = "mine"\nqueues = ["a", "b"]\nmax-jobs = 9\nenv = { X = "1" }\n', before)
    assert pool.launch.command == ("serve", "--jobs", "9", "a", "b")
    assert pool.launch.env == {"MODE": "worker", "X": "1"}
    assert (pool.stop_signal, pool.stop_timeout, pool.exit_codes) == (2, 30, {7})
    assert pool.counts_own_jobs


def test_options_in_either_spelling() -> None:
    for spelling in ("worker-class", "worker_class"):
        assert "rq.Simple" in pool_of(RQ + f'options = {{ {spelling} = "rq.Simple" }}').launch.command


def test_how_a_worker_is_started() -> None:
    launch = pool_of(
        COMMAND
        + """
user = 1000
group = "media"
umask = "027"
env-file = "/etc/media.env"
nice = 10
cpu-affinity = "0-2,5"
limits = { nofile = 4096, core = "unlimited", as = "2GiB" }
queues = ["{a}"]
watchdog = "30s"
env = { PORT = 80, DEBUG = true }
"""
    ).launch
    assert (launch.user, launch.group, launch.umask, launch.env_file, launch.nice) == (
        "1000", "media", 0o027, "/etc/media.env", 10,
    )  # fmt: skip
    assert launch.cpu_affinity == (0, 1, 2, 5)
    assert launch.limits == (("as", 2 << 30), ("core", -1), ("nofile", 4096))
    assert (launch.queues, launch.watchdog) == (("{a}",), 30)
    assert launch.env == {"PORT": "80", "DEBUG": "true"}


def test_limits_and_logs() -> None:
    pool = pool_of(
        COMMAND
        + """
restart = "on-failure"
max-memory = "512MiB"
max-memory-jitter = "10MiB"
max-memory-of = "tree"
max-lifetime = "1h"
max-lifetime-jitter = "5m"
max-jobs-jitter = 3
give-up = { failures = 5, within = "10m" }
log = { to = "none", format = "raw", max-size = "1MB", keep = 2 }
"""
    )
    assert (pool.max_memory, pool.max_memory_jitter, pool.max_memory_of_tree) == (512 << 20, 10 << 20, True)
    assert (pool.max_lifetime, pool.max_lifetime_jitter, pool.max_jobs_jitter) == (3600, 300, 3)
    assert pool.give_up == GiveUp(5, 600)
    assert pool.restart is Restart.ON_FAILURE
    assert (pool.log.to, pool.log.format, pool.log.max_size, pool.log.keep) == (LogTarget.NONE, LogFormat.RAW, 10**6, 2)
