"""configs/workers/ruby/fleetd.rb in a real Sidekiq, and under ActiveJob, against a real notify socket."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import pytest

from fleetd.core.events import JobReported, SaidReady
from fleetd.core.spec import LineMeaning
from tests.support.listening import Daemon
from tests.support.redis_server import RedisServer
from tests.support.requirement import need
from tests.support.sidekiq_app import SNIPPET, SidekiqApp, sidekiq_app
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.process, pytest.mark.redis, pytest.mark.sidekiq]

_READY, STARTED, DONE, FAILED, RELEASED, _UNHEARD = LineMeaning


@pytest.fixture
def app(short_path: Path, redis_server: RedisServer) -> SidekiqApp:
    return sidekiq_app(short_path / "app", redis_server, tells=True)


@contextmanager
def worker(app: SidekiqApp, socket: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    log = app.releases.root / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["sidekiq", "-r", "./jobs.rb", "-q", "media", *options],
            cwd=app.releases.release("1"),
            env={**app.environment, "NOTIFY_SOCKET": str(socket), "FLEETD_RUN": "r1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)


def reports(daemon: Daemon) -> list[JobReported]:
    return [event for event in daemon.work() if isinstance(event, JobReported)]


def by_id(daemon: Daemon) -> dict[str | None, list[LineMeaning]]:
    told: dict[str | None, list[LineMeaning]] = {}
    for report in reports(daemon):
        told.setdefault(report.id, []).append(report.meaning)
    return told


def test_jobs_done_failed_and_pushed_back_are_told_once(daemon: Daemon, app: SidekiqApp) -> None:
    began = time.time()
    app.enqueue(20, queue="media", fail_every=5)
    app.enqueue(2, queue="media", first=101, gate="/nowhere")

    with worker(app, daemon.path, "-c", "2", "-t", "1") as process:
        wait_for(lambda: len(by_id(daemon)) == 22 and len(reports(daemon)) == 42, "22 jobs", within=30)
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: len(reports(daemon)) == 44, "the long jobs to be pushed back", within=20)
        assert process.wait(timeout=20) == 0

    assert by_id(daemon) == {
        **{f"media-{number}": [STARTED, FAILED if number % 5 == 0 else DONE] for number in range(1, 21)},
        "media-101": [STARTED, RELEASED],
        "media-102": [STARTED, RELEASED],
    }
    told = reports(daemon)
    assert any(isinstance(event, SaidReady) for event in daemon.events)
    assert {(report.name, report.queue) for report in told} == {("TranscodeJob", "media")}
    assert all(
        report.enqueued_at is not None and began - 3 <= report.enqueued_at <= time.time() + 2
        for report in told
        if report.meaning is STARTED
    )


def test_what_was_told_while_no_daemon_was_there_is_counted_later(daemon: Daemon, app: SidekiqApp) -> None:
    with worker(app, daemon.path, "-c", "2"):
        wait_for(daemon.work, "the worker to be ready", within=20)
        daemon.die()
        jobs = app.enqueue(30, queue="media", fail_every=10)
        wait_for(lambda: app.jobs.ended().keys() == jobs, "the jobs to end", within=30)
        daemon.start()
        wait_for(lambda: len(reports(daemon)) >= 60, "what was missed to be told", within=20)

    assert by_id(daemon) == {
        f"media-{number}": [STARTED, FAILED if number % 10 == 0 else DONE] for number in range(1, 31)
    }


def run_script(daemon: Daemon, script: str, **environment: str) -> None:
    """Runs it to its end, with the daemon listening."""
    told = {"PATH": "/usr/local/bin:/usr/bin:/bin", "NOTIFY_SOCKET": str(daemon.path), "FLEETD_RUN": "r1"}
    process = subprocess.Popen(["ruby", "-e", script], env={**told, **environment})
    try:
        wait_for(lambda: daemon.work() is not None and process.poll() is not None, "the script to end", within=30)
    finally:
        process.kill()
        process.wait(timeout=10)
    assert process.returncode == 0


AWAY = f"""
require "{SNIPPET}"
9_500.times do |n|
  Fleetd.job("started", Fleetd.fields("a#{{n}}", "A", nil))
  Fleetd.job("done", Fleetd.fields("a#{{n}}", "A", nil))
end
puts "did"
$stdout.flush
gets
"""


def test_of_more_messages_than_are_kept_starts_go_first(daemon: Daemon) -> None:
    daemon.die()
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "NOTIFY_SOCKET": str(daemon.path), "FLEETD_RUN": "r1"}
    with subprocess.Popen(
        ["ruby", "-e", AWAY], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"did\n"
        daemon.start()

        def last_came() -> bool:
            return any(isinstance(e, JobReported) and (e.id, e.meaning) == ("a9499", DONE) for e in daemon.work()[-1:])

        wait_for(last_came, "every end", within=100, every=0)
        process.kill()

    assert {told[-1] for told in by_id(daemon).values()} == {DONE}
    assert len(by_id(daemon)) == 9_500


FORKING = f"""
require "{SNIPPET}"
Fleetd.job("started", Fleetd.fields("a", "A\nX_FLEETD_JOB=done", "media"), 1_790_000_000_500)
Process.wait(fork {{ 300.times {{ |n| Fleetd.job("done", Fleetd.fields("b#{{n}}", "B", nil)) }} }})
Fleetd.job("done", Fleetd.fields("a", "A", "media"))
"""


def test_a_forked_child_tells_by_a_line_of_its_own(daemon: Daemon) -> None:
    run_script(daemon, FORKING)

    told = reports(daemon)
    assert told[0].meaning is STARTED
    assert (told[0].name, told[0].enqueued_at) == ("A X_FLEETD_JOB=done", 1790000000.5)
    assert by_id(daemon) == {"a": [STARTED, DONE], **{f"b{number}": [DONE] for number in range(300)}}
    assert len(daemon.senders) == 2


def test_nothing_is_told_where_the_socket_is_another_program_s(daemon: Daemon) -> None:
    run_script(daemon, FORKING.replace("require", 'ENV.delete("FLEETD_RUN")\nrequire', 1))

    assert daemon.work() == []


WITHOUT_DESCRIPTORS = f"""
require "{SNIPPET}"
soft, hard = Process.getrlimit(:NOFILE)
Process.setrlimit(:NOFILE, 3, hard)
Fleetd.ready
Fleetd.job("done", Fleetd.fields("untold", "A", nil))
Process.setrlimit(:NOFILE, soft, hard)
Fleetd.job("started", Fleetd.fields("told", "A", nil), "yesterday")
Fleetd.job("done", Fleetd.fields("told", "A", nil), {{}})
"""


def test_neither_a_lack_of_descriptors_nor_an_odd_time_fails_a_job(daemon: Daemon) -> None:
    run_script(daemon, WITHOUT_DESCRIPTORS)

    assert by_id(daemon) == {"told": [STARTED, DONE]}
    assert all(report.enqueued_at is None for report in reports(daemon))


WITHOUT_THREADS = f"""
require "{SNIPPET}"
def Thread.new(*) # as where the system has none to give
  raise ThreadError, "can't create Thread: Resource temporarily unavailable"
end
200.times {{ |n| Fleetd.job("done", Fleetd.fields("a#{{n}}", "A", nil)) }}
Fleetd.flush(30)
exit!(0)
"""


def test_where_no_thread_can_be_started_jobs_are_told_all_the_same(daemon: Daemon) -> None:
    run_script(daemon, WITHOUT_THREADS)

    assert by_id(daemon) == {f"a{number}": [DONE] for number in range(200)}


ACTIVE_JOB = f"""
require "active_job"
require "{SNIPPET}"
class WaitingAdapter
  JOBS = []
  def enqueue(job)
    JOBS << job.serialize
  end
  def enqueue_at(job, _at)
    enqueue(job)
  end
end
ActiveJob::Base.logger = nil
ActiveJob::Base.queue_adapter = WaitingAdapter.new
Fleetd.active_job
class Inner < ActiveJob::Base
  def perform; end
end
class Outer < ActiveJob::Base
  queue_as :media
  retry_on ArgumentError, wait: 0, attempts: 2
  discard_on KeyError
  def perform(error)
    Inner.perform_now
    raise error.constantize if error && executions == 1
  end
end
[nil, "IOError", "ArgumentError", "KeyError"].each {{ |error| Outer.perform_later(error) }}
until WaitingAdapter::JOBS.empty?
  begin
    ActiveJob::Base.execute(WaitingAdapter::JOBS.shift)
  rescue IOError
    nil
  end
end
"""


def test_jobs_of_active_job_are_told_and_what_they_perform_themselves_is_not(daemon: Daemon) -> None:
    probe = subprocess.run(["ruby", "-e", 'require "active_job"'], check=False, capture_output=True, timeout=30)
    need(probe.returncode == 0, "no ActiveJob: apt-get install --no-install-recommends ruby-activejob")

    run_script(daemon, ACTIVE_JOB)

    assert {(report.name, report.queue) for report in reports(daemon)} == {("Outer", "media")}
    # An attempt that failed is told by two events; the second one does not count.
    once = [[meaning for meaning, _ in groupby(told)] for told in by_id(daemon).values()]
    assert once == [[STARTED, DONE], [STARTED, FAILED], [STARTED, FAILED, STARTED, DONE], [STARTED, FAILED]]
    starts = [report.enqueued_at for report in reports(daemon) if report.meaning is STARTED]
    assert all(at is not None and abs(at - time.time()) < 30 for at in starts)
