"""A real `rq worker`, started by the framework's command line; its real output, read by the scanner."""

from __future__ import annotations

import subprocess

import pytest

from fleetd.core.spec import LineMeaning
from fleetd.frameworks.framework import builtin
from fleetd.frameworks.lines import LineReport, Patterns, Scanner
from tests.support.rq_app import RqApp

pytestmark = [pytest.mark.process, pytest.mark.redis]

READY, STARTED, DONE, FAILED, _RELEASED, _UNHEARD = LineMeaning


def run_worker(rq: RqApp, queues: tuple[str, ...], max_jobs: int) -> list[LineReport]:
    framework = builtin("rq")
    assert framework is not None
    command = framework.command_line(
        queues=queues, max_jobs=max_jobs, job_timeout=None, max_memory=None, max_lifetime=None, options={}
    )
    environment = {**rq.environment, **framework.env}
    process = subprocess.Popen(
        command,
        cwd=rq.releases.current,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    )
    assert process.stdout is not None
    scanner = Scanner(Patterns(framework.patterns))
    reports: list[LineReport] = []
    try:
        while chunk := process.stdout.read(997):
            reports += scanner.feed(chunk)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait(timeout=10)
        process.stdout.close()
    return reports


def test_every_job_of_a_real_worker_is_read_once(rq: RqApp) -> None:
    rq.enqueue(3, queue="high")
    rq.enqueue(2, queue="low", fail_every=2)

    reports = run_worker(rq, ("high", "low"), max_jobs=5)

    assert reports[0] == LineReport(READY)
    assert [report for report in reports if report.meaning is STARTED] == [
        LineReport(STARTED, job, "tasks.transcode", queue)
        for job, queue in [
            ("high-1", "high"),
            ("high-2", "high"),
            ("high-3", "high"),
            ("low-1", "low"),
            ("low-2", "low"),
        ]
    ]
    assert [report.id for report in reports if report.meaning is DONE] == ["high-1", "high-2", "high-3", "low-1"]
    assert [report for report in reports if report.meaning is FAILED] == [
        LineReport(FAILED, "low-2", "tasks.transcode")
    ]
