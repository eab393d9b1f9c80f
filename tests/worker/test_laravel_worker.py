"""The provider of configs/workers/laravel in a real `artisan queue:work`, against a real notify socket."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetd.core.events import JobReported, SaidReady
from fleetd.core.spec import LineMeaning
from tests.support.laravel import PROVIDER, LaravelApp, laravel_app
from tests.support.listening import Daemon
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.process, pytest.mark.redis, pytest.mark.laravel]

_READY, STARTED, DONE, FAILED, RELEASED, _UNHEARD = LineMeaning
JOB = r"App\Jobs\TranscodeJob"


@pytest.fixture
def app(short_path: Path, redis_server: RedisServer) -> LaravelApp:
    return laravel_app(short_path / "app", redis_server, tells=True)


@contextmanager
def worker(
    app: LaravelApp, socket: Path | None, *options: str, php: tuple[str, ...] = ()
) -> Iterator[subprocess.Popen[str]]:
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", **app.environment}
    if socket is not None:
        environment |= {"NOTIFY_SOCKET": str(socket), "FLEETD_RUN": "r1"}
    process = subprocess.Popen(
        ["php", *php, "artisan", "queue:work", "--queue=media", "--sleep=0.1", *options],
        cwd=app.releases.release("1"),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)


def reports(daemon: Daemon) -> list[JobReported]:
    return [event for event in daemon.work() if isinstance(event, JobReported)]


def meanings(daemon: Daemon) -> list[LineMeaning]:
    return [report.meaning for report in reports(daemon)]


def test_every_way_in_which_a_job_ends_is_told_once(daemon: Daemon, app: LaravelApp) -> None:
    began = time.time()
    app.enqueue(2, queue="media", fail_every=2)
    app.artisan("dispatch", "--queue=media", "--then=give-up")
    app.artisan("dispatch", "--queue=media", "--then=release")

    with worker(app, daemon.path, "--tries=2", "--max-jobs=6") as process:
        wait_for(lambda: len(meanings(daemon)) >= 12, "every job to be told", within=30)
        said, _ = process.communicate(timeout=20)
        assert process.returncode == 0, said

    told = reports(daemon)
    by_id: dict[str | None, list[LineMeaning]] = {}
    for report in told:
        by_id.setdefault(report.id, []).append(report.meaning)
    assert sorted(by_id.values()) == sorted(
        [[STARTED, DONE], [STARTED, FAILED, STARTED, FAILED], [STARTED, FAILED], [STARTED, RELEASED, STARTED, DONE]]
    )
    assert any(isinstance(event, SaidReady) for event in daemon.events)
    assert {(report.name, report.queue) for report in told} == {(JOB, "media")}
    firsts = [report.enqueued_at for report in told if report.enqueued_at is not None]
    assert len(firsts) == 4  # later attempts were not enqueued anew
    assert all(began - 3 <= at <= time.time() + 2 for at in firsts)  # the clock may be set meanwhile


def test_a_job_that_takes_too_long_is_told_before_its_worker_kills_itself(daemon: Daemon, app: LaravelApp) -> None:
    app.enqueue(1, queue="media", gate="/nowhere")

    with worker(app, daemon.path, "--timeout=1", "--tries=2") as process:
        wait_for(lambda: meanings(daemon) == [STARTED, FAILED], "the timeout", within=20)
        assert process.wait(timeout=20) == -9


def test_a_delayed_job_was_due_after_its_delay(daemon: Daemon, app: LaravelApp) -> None:
    began = time.time()
    app.enqueue(1, queue="media", delay=1)

    with worker(app, daemon.path):
        wait_for(lambda: DONE in meanings(daemon), "the job", within=20)

    due = reports(daemon)[0].enqueued_at
    assert due is not None
    assert int(began) + 1 <= due <= time.time() + 2


def test_the_job_of_a_queued_listener_is_due_after_the_listener_s_delay(app: LaravelApp) -> None:
    app.artisan("dispatch", "--listener")

    with app.server.connect() as client:
        (key,) = client.scan_iter("*queues:media:delayed")
        ((payload, due),) = client.zrange(key, 0, -1, withscores=True)
    assert abs(json.loads(payload)["availableAt"] - due) <= 1


def test_a_delay_that_only_the_payload_knows_counts(daemon: Daemon, app: LaravelApp) -> None:
    app.enqueue(1, queue="media")
    with app.server.connect() as client:
        (key,) = client.scan_iter("*queues:media")
        payload = json.loads(client.lpop(key))
        # As Queue::later() has it, from Laravel 12.11 on.
        client.rpush(key, json.dumps({**payload, "availableAt": 1.79e9, "createdAt": 1790000000, "delay": 60}))

    with worker(app, daemon.path):
        wait_for(lambda: DONE in meanings(daemon), "the job", within=20)

    assert reports(daemon)[0].enqueued_at == 1790000060


def test_what_was_told_while_no_daemon_was_there_is_counted_later(daemon: Daemon, app: LaravelApp) -> None:
    with worker(app, daemon.path):
        wait_for(daemon.work, "the worker to be ready", within=20)
        daemon.die()
        jobs = app.enqueue(30, queue="media", fail_every=10)
        wait_for(lambda: app.jobs.ended().keys() == jobs, "the jobs to end", within=30)
        daemon.start()
        wait_for(lambda: len(meanings(daemon)) >= 60, "what was missed to be told", within=20)

    assert [meanings(daemon).count(meaning) for meaning in (STARTED, DONE, FAILED)] == [30, 27, 3]
    assert len({report.id for report in reports(daemon)}) == 30


AWAY = r"""
namespace Illuminate\Support { class ServiceProvider {} }
namespace {
    require $argv[1];
    $line = new App\Providers\FleetdLine($argv[2]);
    for ($n = 0; $n < 9500; $n++) {
        foreach (["started", "done"] as $what) {
            $line->tell(["X_FLEETD_JOB" => $what, "X_FLEETD_JOB_ID" => "$n"]);
        }
    }
    echo json_encode((function () { return $this->kept; })->call($line));
}
"""


@pytest.mark.usefixtures("app")
def test_of_more_messages_than_are_kept_starts_go_first(short_path: Path) -> None:
    command = ["php", "-r", AWAY, "--", str(PROVIDER), str(short_path / "nobody")]
    kept = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)

    assert len(kept) <= 10_000
    assert [text for text in kept if "=done" in text] == [
        f"X_FLEETD_JOB=done\nX_FLEETD_JOB_ID={n}" for n in range(9500)
    ]
    window = [f"X_FLEETD_JOB={what}\nX_FLEETD_JOB_ID={n}" for n in range(128) for what in ("started", "done")]
    assert kept[:256] == window, "they may have been sent"


def test_without_the_sockets_extension_messages_are_told_once(daemon: Daemon, app: LaravelApp) -> None:
    app.enqueue(2, queue="media", fail_every=2)

    with worker(app, daemon.path, php=("-d", "disable_functions=socket_create")):
        wait_for(lambda: meanings(daemon) == [STARTED, DONE, STARTED, FAILED], "the jobs", within=20)

    assert not daemon.senders  # no number was taken


def test_where_no_fleetd_is_nothing_is_told_and_the_jobs_are_done(short_path: Path, app: LaravelApp) -> None:
    app.enqueue(2, queue="media", fail_every=2)

    for socket in (None, short_path / "gone.sock"):
        with worker(app, socket, "--stop-when-empty") as process:
            assert process.wait(timeout=30) == 0
    assert (app.jobs.count("done").total(), app.jobs.count("failed").total()) == (1, 1)
