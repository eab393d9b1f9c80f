"""Contradictions in valid files, and files that others can change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from fleetd.config.lint import lint, worst
from fleetd.config.problems import Severity
from tests.support.pool_files import load_text


@dataclass(frozen=True)
class Files:
    """A host on which all files belong to root, but for those that are named."""

    is_root: bool = False
    modes: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)

    def absolute(self, path: str) -> str:
        return f"/etc/fleetd/{path}"

    def ownership(self, path: str) -> tuple[int, int, int]:
        return self.modes.get(path, (0, 0, 0o755))


def findings_of(text: str, host: Files | None = None) -> list[str]:
    loaded = load_text(text)
    assert loaded.problems == ()
    return [str(finding) for finding in lint(loaded, host or Files())]


POOL = '[pool.media]\ncommand = ["worker"]\n'
LARAVEL = '[pool.media]\nframework = "laravel"\n'
BROKER = '[broker.default]\nurl = "redis://h:1/0"\nretry-after = "90s"\n'
SILENT = (
    ", so that fleetd may hear of none; "
    "tell of jobs on the notify socket (fleetd.worker), or use a framework that reports them"
)
NO_STARTS = "neither has a flag for it nor reports when jobs start" + SILENT
SOLID_QUEUE = '[pool.media]\nframework = "solid_queue"\n'
BULLMQ = '[pool.media]\nframework = "bullmq"\nmax-jobs = 5\n'
ENDS_ONLY = """[framework.own]
command = ["worker"]
[[framework.own.patterns]]
meaning = "done"
literal = "done"
regex = "^done"
[pool.media]
framework = "own"
"""
UNSURE = "reports jobs only where the application is set up for it; set it up (docs/worker.md)"

CASES = [
    (BULLMQ, f'warning: pool.toml:3: pool.media.max-jobs: bullmq {UNSURE}, and say so by ready = "line"'),
    (
        '[pool.media]\nframework = "solid_queue"\nmax-jobs = 5\n',
        f"warning: pool.toml:3: pool.media.max-jobs: solid_queue {UNSURE}",
    ),
    (
        POOL + 'log = { to = "stdout", compress = true }',
        'warning: pool.toml:3: pool.media.log.compress: does nothing with to = "stdout"; take it out',
    ),
    (
        POOL + 'log = { to = "journal", format = "json" }',
        'warning: pool.toml:3: pool.media.log.format: does nothing with to = "journal"; take it out',
    ),
    (
        POOL + '[pool.media.log]\nto = "none"\nmax-size = "1MiB"',
        'warning: pool.toml:5: pool.media.log.max-size: does nothing with to = "none"; take it out',
    ),
    (
        POOL + "log = { keep = 0, compress = true }",
        "warning: pool.toml:3: pool.media.log.compress: does nothing with keep = 0: no file is put aside; keep some",
    ),
    (
        LARAVEL + 'job-timeout = "1h"\nstop-timeout = "30s"',
        (
            "error: pool.toml:4: pool.media.stop-timeout: a stop kills a job after 30s, which may take 1h "
            "(job-timeout); make it more than 1h, or take it out"
        ),
    ),
    (
        BROKER + LARAVEL + 'job-timeout = "90s"',
        (
            "error: pool.toml:6: pool.media.job-timeout: the broker default gives a job to another worker after 1m30s "
            "(retry-after), while the first may still run it for 1m30s; make retry-after longer than job-timeout"
        ),
    ),
    (
        BROKER + POOL + 'broker = "default"\nqueues = ["a"]\nenv = { Q = "{queues}" }',
        (
            "warning: pool.toml:6: pool.media.broker: nothing says where command keeps its queues in a broker of the "
            "kind redis; a [framework.NAME] of your own says it in brokers.redis"
        ),
    ),
    (
        BROKER + LARAVEL + 'broker = "default"',
        (
            "warning: pool.toml:6: pool.media.broker: the pool names no queues, so that none is read in default; "
            "add queues"
        ),
    ),
    (
        LARAVEL + 'stop-timeout = "5s"',
        (
            "warning: pool.toml:3: pool.media.stop-timeout: shorter than the 1m10s that laravel gives its jobs; "
            "set job-timeout too, or take it out"
        ),
    ),
    (
        POOL + 'healthy-after = "60s"',
        (
            "error: pool.toml:3: pool.media.healthy-after: no worker can be healthy before it is killed after 1m; "
            "make start-timeout longer"
        ),
    ),
    (POOL + 'job-timeout = "5m"', f"warning: pool.toml:3: pool.media.job-timeout: command {NO_STARTS}"),
    (
        POOL + "max-jobs = 5",
        f"warning: pool.toml:3: pool.media.max-jobs: command neither has a flag for it nor reports jobs{SILENT}",
    ),
    (
        POOL + 'framework = "celery"\nmax-jobs = 5\njob-timeout = "5m"',
        (
            "warning: pool.toml:5: pool.media.job-timeout: celery gets no flag for it from a command of the pool's "
            f"own, and does not report when jobs start{SILENT}"
        ),
    ),
    (
        ENDS_ONLY + 'max-jobs = 5\njob-timeout = "5m"',
        f"warning: pool.toml:10: pool.media.job-timeout: own {NO_STARTS}",
    ),
    (
        POOL + "max-jobs-jitter = 5",
        "warning: pool.toml:3: pool.media.max-jobs-jitter: does nothing without max-jobs; add max-jobs",
    ),
    (
        POOL + 'max-memory-of = "tree"',
        "warning: pool.toml:3: pool.media.max-memory-of: does nothing without max-memory; add max-memory",
    ),
    (
        POOL + 'backoff = { first = "2m" }',
        "warning: pool.toml:3: pool.media.backoff: first is more than max, so that every wait is max; make max larger",
    ),
    (
        POOL + 'give-up = { failures = 10, within = "1m" }',
        (
            "error: pool.toml:3: pool.media.give-up: can never come true: with this backoff 10 failures take at least "
            "3m2s, more than 1m (within); make within longer"
        ),
    ),
    (
        POOL + 'restart = "never"\ngive-up = { failures = 1, within = "1m" }',
        'warning: pool.toml:4: pool.media.give-up: does nothing with restart = "never"; take it out',
    ),
    (
        POOL + 'after = ["server"]\n[pool.server]\ncommand = "redis-server"\nautostart = false',
        (
            "warning: pool.toml:3: pool.media.after: waits for server, which does not start by itself (autostart); "
            "start server, or take it out of after"
        ),
    ),
    (
        POOL + 'queues = ["media"]',
        (
            "warning: pool.toml:3: pool.media.queues: the command does not name them, so that they reach the workers "
            "only as FLEETD_QUEUES; put {queues} into the command, or read FLEETD_QUEUES"
        ),
    ),
    ("[defaults]\nnice = 1\n", "warning: pool.toml: there is no pool; add a [pool.NAME] table"),
]


@pytest.mark.parametrize(("text", "finding"), CASES, ids=str)
def test_contradictions(text: str, finding: str) -> None:
    assert findings_of(text) == [finding]


@pytest.mark.parametrize(
    "text",
    [
        POOL,
        LARAVEL + 'job-timeout = "1h"\nmax-jobs = 1\nstop-timeout = "1h"',
        BROKER + LARAVEL + 'job-timeout = "89s"',
        POOL + 'give-up = { failures = 5, within = "10m" }',
        POOL + 'give-up = { failures = 1, within = "1s" }',
        POOL + 'give-up = { failures = 100000, within = "3000d" }',
        '[pool.media]\ncommand = ["worker", "{queues}"]\nqueues = ["a"]',
        '[pool.media]\ncommand = ["worker", "--only=a"]\nqueues = ["a"]',
        '[pool.media]\nframework = "celery"\noptions = { app = "p" }\njob-timeout = "5m"\nmax-jobs = 3',
        '[pool.media]\nframework = "rq"\nqueues = ["a"]\njob-timeout = "5m"\nmax-jobs = 3',
        BULLMQ + 'ready = "line"',
    ],
)
def test_what_makes_sense(text: str) -> None:
    assert findings_of(text) == []


def test_a_framework_that_gives_jobs_back_at_a_stop() -> None:
    told = (
        "warning: pool.toml:3: pool.media.job-timeout: at a stop solid_queue gives a job back after 5s, which may take "
        "1h, unless the application says otherwise; raise its shutdown timeout there to 1h, and say so by stop-timeout"
    )
    assert told in findings_of(SOLID_QUEUE + 'job-timeout = "1h"')
    for fine in ('job-timeout = "1h"\nstop-timeout = "61m"', "job-timeout = 5", ""):
        assert not any("gives a job back" in finding for finding in findings_of(SOLID_QUEUE + fine))


def test_a_place_in_defaults_is_named() -> None:
    text = '[defaults]\nstop-timeout = "1s"\n' + LARAVEL + 'job-timeout = "1m"'
    assert findings_of(text)[0].startswith("error: pool.toml:2: pool.media.stop-timeout: ")


def test_workers_that_run_as_root() -> None:
    assert findings_of(POOL, Files(is_root=True)) == [
        'warning: pool.toml:1: pool.media.user: the workers run as root; add user = "NAME"'
    ]
    assert findings_of(POOL + 'user = "www-data"', Files(is_root=True)) == []


FILE, FOLDER = "/etc/fleetd/pool.toml", "/etc/fleetd"
EVERYBODY = "error: {path}: can be changed by every user, and with it what runs as root; chmod o-w {path}"
GROUP = "error: {path}: can be changed by group 50, and with it what runs as root; chmod g-w {path}"
OWNER = "warning: {path}: belongs to user 7, who can command this daemon; chown root {path}"


@pytest.mark.parametrize(
    ("path", "ownership", "finding"),
    [
        (FILE, (0, 0, 0o100666), EVERYBODY),
        (FILE, (0, 0, 0o101666), EVERYBODY),
        (FILE, (0, 50, 0o100664), GROUP),
        (FILE, (0, 0, 0o100664), None),
        (FILE, (7, 0, 0o100644), OWNER),
        (FOLDER, (0, 0, 0o40777), EVERYBODY),
        (FOLDER, (0, 0, 0o41777), None),
        ("/etc", (0, 50, 0o40775), GROUP),
    ],
)
def test_files_that_others_can_change(path: str, ownership: tuple[int, int, int], finding: str | None) -> None:
    text = POOL + 'user = "www-data"'
    expected = [] if finding is None else [finding.format(path=path)]
    assert findings_of(text, Files(is_root=True, modes={path: ownership})) == expected
    assert findings_of(text, Files(is_root=False, modes={path: ownership})) == []


def test_the_gravest_counts() -> None:
    loaded = load_text(LARAVEL + 'job-timeout = "1h"\nstop-timeout = "30s"\nmax-jobs-jitter = 3')
    assert worst(lint(loaded, Files())) is Severity.ERROR
    assert worst(lint(load_text(POOL + "max-jobs = 1"), Files())) is Severity.WARNING
    assert worst(()) is None
