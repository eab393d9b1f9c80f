"""The lines of fleetd.cjs: each read as what it means, and none lost where nobody reads them for a while."""

from __future__ import annotations

import shutil
import subprocess
import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fleetd.core.spec import LineMeaning
from fleetd.frameworks.framework import builtin
from fleetd.frameworks.lines import LineReport, Patterns, Scanner
from tests.support.bullmq_app import SNIPPET, BullmqApp
from tests.support.node import installed_node, packages
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for

RECORDED = tomllib.loads((Path(__file__).parent / "lines" / "bullmq.toml").read_text("utf-8"))["line"]
APPS = Path(__file__).parents[1] / "apps"
LINES = 2 * 400  # more than the 64 KiB of a pipe
NOISE = "setInterval(() => console.log('x'.repeat(5000)), 1).unref();"


def scanner() -> Scanner:
    framework = builtin("bullmq")
    assert framework is not None
    return Scanner(Patterns(framework.patterns))


@pytest.mark.parametrize("line", RECORDED, ids=lambda line: line["text"][:60])
def test_a_recorded_line_is_read_as_what_it_means(line: dict[str, Any]) -> None:
    assert line["source"]
    means = line["means"]
    expected = [] if means == "nothing" else [LineReport(**{**means, "meaning": LineMeaning(means["meaning"])})]
    assert scanner().feed(line["text"].encode() + b"\n") == expected


@pytest.mark.process
@pytest.mark.redis
def test_no_line_is_lost_in_a_full_pipe_beside_the_output_of_others(bullmq: BullmqApp, tmp_path: Path) -> None:
    jobs = bullmq.enqueue(LINES // 2)
    noise = tmp_path / "noise.cjs"
    noise.write_text(NOISE)
    environment = {**bullmq.environment, "FLEETD_QUEUES": "default", "FLEETD_MAX_JOBS": str(len(jobs))}
    worker = subprocess.Popen(
        [bullmq.node, "--require", str(noise), "worker.cjs"],
        cwd=bullmq.releases.current,
        env=environment,
        stdout=subprocess.PIPE,
    )
    try:
        wait_for(lambda: bullmq.jobs.ended().total() == len(jobs), "all jobs, with nobody who reads")
        output, _ = worker.communicate(timeout=30)
    finally:
        worker.kill()
    assert worker.returncode == 0
    told = Counter((report.meaning, report.id) for report in scanner().feed(output))
    assert told.pop((LineMeaning.READY, None)) == 1
    meanings = LineMeaning.STARTED, LineMeaning.DONE
    assert told == dict.fromkeys(((meaning, job) for meaning in meanings for job in jobs), 1)


@pytest.mark.process
@pytest.mark.redis
@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize(
    ("application", "package"),
    [
        ("bullmq", "bullmq"),
        pytest.param("bullmq_older", "bullmq4", marks=pytest.mark.full),
        pytest.param("bullmq_older", "bullmq5", marks=pytest.mark.full),
    ],
)
def test_jobs_that_do_not_just_end_are_told_of_too(
    application: str, package: str, concurrency: int, redis_server: RedisServer, tmp_path: Path
) -> None:
    for source in (SNIPPET, APPS / "bullmq" / "odd.cjs"):
        shutil.copy(source, tmp_path)
    (tmp_path / "node_modules").symlink_to(packages(APPS / application))
    began = time.time()
    done = subprocess.run(
        [installed_node().node, "odd.cjs", package, str(redis_server.port)],
        cwd=tmp_path,
        env={"FLEETD_MAX_JOBS": "9", "CONCURRENCY": str(concurrency)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    told: dict[str, list[LineReport]] = {}
    for report in scanner().feed(done.stdout):
        told.setdefault(f"{report.id} {report.name}", []).append(report)
    assert {job: [report.meaning.value for report in reports] for job, reports in told.items()} == {
        "None None": ["ready"],
        "1 plain": ["started", "done"],
        "2 broken": ["started", "failed", "started", "failed"],
        "3 delays": ["started", "released", "started", "done"],
        "4 is limited": ["started", "released", "started", "done"],
        "5 loses its lock": ["started", "released"],
        "6 plain": ["started", "done"],
    }
    # When the later attempts were enqueued is not known; a delayed job could not be taken before it was due.
    enqueued = {job: [report.enqueued_at for report in reports[::2]] for job, reports in told.items()}
    assert all(first is not None and later == [] for job, (first, *later) in enqueued.items() if "plain" in job)
    assert [at is None for at in enqueued["2 broken"]] == [False, True]
    first, due = enqueued["1 plain"][0], enqueued["6 plain"][0]
    assert first is not None
    assert due is not None
    assert began <= first <= due - 0.3


@pytest.mark.process
@pytest.mark.redis
def test_workers_that_come_late_or_never_change_no_job_s_id_nor_the_ready_line(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    for source in (SNIPPET, APPS / "bullmq" / "late.cjs"):
        shutil.copy(source, tmp_path)
    (tmp_path / "node_modules").symlink_to(packages(APPS / "bullmq"))
    done = subprocess.run(
        [installed_node().node, "late.cjs", str(redis_server.port)],
        cwd=tmp_path,
        env={"FLEETD_MAX_JOBS": "2"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    told: dict[str | None, list[str]] = {}
    for report in scanner().feed(done.stdout):
        told.setdefault(report.id, []).append(report.meaning.value)
    assert told.pop(None)[0] == "ready"
    assert list(told.values()) == [["started", "done"], ["started", "done"]]


@pytest.mark.process
@pytest.mark.redis
@pytest.mark.full
def test_a_worker_without_its_redis_and_without_a_job_ends(bullmq: BullmqApp) -> None:
    environment = {**bullmq.environment, "FLEETD_QUEUES": "default"}
    worker = subprocess.Popen(
        [bullmq.node, "worker.cjs"],
        cwd=bullmq.releases.current,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert worker.stdout is not None
    try:
        assert worker.stdout.readline() == b'{"fleetd":"ready"}\n'
        bullmq.server.stop()
        worker.terminate()
        assert worker.wait(timeout=30) == 0
    finally:
        worker.kill()
        worker.wait(timeout=10)
        worker.stdout.close()


@pytest.mark.process
def test_it_is_imported_by_a_module(tmp_path: Path) -> None:
    module = tmp_path / "worker.mjs"
    module.write_text(f"import fleetd from {str(SNIPPET)!r};\nconsole.log(typeof fleetd);\n")
    done = subprocess.run(
        [installed_node().node, module],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("function\n", "")
