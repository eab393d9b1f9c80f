"""Queues of real Celery and Dramatiq workers on a real RabbitMQ, while jobs are in their hands."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleetd.brokers.amqp import open as open_broker
from fleetd.core.queues import Depth
from fleetd.core.spec import BrokerSpec
from fleetd.frameworks.framework import builtin
from tests.support.celery_app import CeleryApp
from tests.support.dramatiq_app import DramatiqApp
from tests.support.python_app import SCRIPTS, PythonApp
from tests.support.rabbitmq_server import RabbitMQ
from tests.support.waiting import wait_for


def depth(framework: str, spec: BrokerSpec) -> Depth:
    """Of the queue `mail`, where the framework's file says that it stands."""
    known = builtin(framework)
    assert known is not None
    place = known.place("amqp", "mail", spec.prefix)
    assert place is not None

    async def steps() -> Depth:
        broker = open_broker(spec)
        try:
            return (await broker.read([place]))[place]
        finally:
            await broker.close()

    return asyncio.run(steps())


def comes_to(framework: str, spec: BrokerSpec, **figures: int | None) -> None:
    """The queue has these figures, once all that was published is in it: nobody waits for a publisher's messages."""

    def is_so() -> bool:
        found = depth(framework, spec)
        return {name: getattr(found, name) for name in figures} == figures

    wait_for(is_so, f"{framework}'s queue to have {figures}")


@contextmanager
def working(app: PythonApp, *command: str, ready: str) -> Iterator[None]:
    """A stock worker, ended as fleetd ends one: its main process is asked, and finishes its job."""
    output = app.root / "worker.log"
    environment = {**os.environ, **app.pool(queues=["mail"])["env"], "FLEETD_QUEUES": "mail"}
    arguments = [str(SCRIPTS / command[0]), *command[1:]]
    with output.open("wb") as log:
        worker = subprocess.Popen(
            arguments, cwd=app.releases.current, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        wait_for(lambda: ready in output.read_text(errors="replace"), f"{command[0]} to be ready")
        yield
    finally:
        worker.terminate()
        try:
            worker.wait(timeout=30)
        finally:
            worker.kill()
            worker.wait()


def test_celery_fed_by_a_topic_exchange(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    url, gate = rabbitmq.vhost(), tmp_path / "gate"
    plain, full = BrokerSpec("jobs", url), BrokerSpec("jobs", url, management=rabbitmq.management)
    app = CeleryApp(tmp_path, url, exchange="jobs")
    arguments = ("--app=tasks", "worker", "--queues=mail", "--concurrency=1", "--loglevel=INFO")
    with working(app, "celery", *arguments, "--without-mingle", "--without-gossip", ready=" ready."):
        comes_to("celery", full, ready=0)
        jobs = app.enqueue(5, queue="mail", gate=str(gate))
        wait_for(app.jobs.in_hand, "a job to be started")
        comes_to("celery", plain, ready=4, delayed=None, reserved=None, consumers=1)
        comes_to("celery", full, ready=4, reserved=1)
        gate.touch()
        wait_for(lambda: set(app.jobs.ended()) == jobs, "all jobs to be done")
        comes_to("celery", full, reserved=0)
    comes_to("celery", plain, ready=0, consumers=0)


def test_dramatiq_with_delayed_jobs(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    """Its workers fetch jobs long before these are due, and keep them."""
    url, gate = rabbitmq.vhost(), tmp_path / "gate"
    plain, full = BrokerSpec("jobs", url), BrokerSpec("jobs", url, management=rabbitmq.management)
    app = DramatiqApp(tmp_path, url)
    app.enqueue(3, queue="mail", first=100, delay=600)
    comes_to("dramatiq", plain, ready=0, delayed=3, consumers=0)
    with working(app, "dramatiq", "tasks", "--processes=1", "--threads=1", ready="Worker process is ready"):
        jobs = app.enqueue(5, queue="mail", gate=str(gate))
        wait_for(app.jobs.in_hand, "a job to be started")
        comes_to("dramatiq", full, ready=4, delayed=3, reserved=1)
        comes_to("dramatiq", plain, ready=4, delayed=None, consumers=1)  # what is not due is fetched, too
        gate.touch()
        wait_for(lambda: set(app.jobs.ended()) == jobs, "all jobs to be done")
    comes_to("dramatiq", full, delayed=3)  # what it kept is back
