"""Amazon SQS as moto's server answers it, of the tests' own; a real boto3 client that fills its queues."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from fleetd.brokers.port import Broker
from fleetd.core.queues import UNKNOWN, Depth, Place
from tests.support.own_server import OwnServer
from tests.support.ports import free_port
from tests.support.requirement import need
from tests.support.waiting import wait_for

T = TypeVar("T")
REGION = "eu-west-1"
# What the daemon's environment has in it, and nothing of the machine's own.
CREDENTIALS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "AKIAS3CRETID",
    "AWS_SECRET_ACCESS_KEY": "S3cretWord",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}
ODD = ("{", "null", " ", "é" * 1000, '{"createdAt":"yesterday"}', "x" * 200_000)
_PREFIXES = itertools.count(1)


@dataclass(slots=True)
class SqsServer(OwnServer):
    """A server process; its queues are in its memory."""

    directory: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Any:
        """A client of the tests, not of fleetd."""
        session = import_module("boto3.session").Session(
            aws_access_key_id="any", aws_secret_access_key="any", region_name=REGION
        )
        return session.client("sqs", endpoint_url=self.endpoint)

    def start(self) -> None:
        """Returns when it answers."""
        command = [
            sys.executable,
            "-c",
            "from moto.server import main; main()",
            "-H",
            "127.0.0.1",
            "-p",
            str(self.port),
        ]
        with (self.directory / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self.answers, f"moto to answer on port {self.port}")

    def answers(self) -> bool:
        """Whether it is up; fails at once when the server has ended."""
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "server.log").read_text(errors="replace")
        try:
            with urllib.request.urlopen(f"{self.endpoint}/moto-api/", timeout=5):
                return True
        except (OSError, urllib.error.URLError):
            return False


@contextmanager
def running_sqs() -> Iterator[SqsServer]:
    """A server in a directory of its own, ended and removed afterwards."""
    need(find_spec("moto") and find_spec("boto3"), "no moto: make .venv/.test")
    with tempfile.TemporaryDirectory(prefix="fleetd-sqs-") as directory:
        server = SqsServer(Path(directory))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@dataclass(slots=True)
class SqsWorld:
    """See tests/brokers/contract.py."""

    broker: Broker
    server: SqsServer
    client: Any
    runner: asyncio.Runner
    reach: Callable[[], AbstractContextManager[None]]
    tells: frozenset[str] = frozenset({"delayed", "reserved"})
    absent: Depth = UNKNOWN
    prefix: str = field(default_factory=lambda: f"world-{os.getpid()}-{next(_PREFIXES)}-")

    def run(self, steps: Awaitable[T]) -> T:
        async def wrapped() -> T:
            return await steps

        return self.runner.run(wrapped())

    def place(self, queue: str) -> Place:
        return Place(queue=queue, ready=(self.prefix + queue,))

    def enqueue(self, queue: str, count: int = 1, *, at: float | None = None) -> None:
        for _ in range(count):
            self._send(queue, "{}")

    def enqueue_odd(self, queue: str) -> int:
        for body in ODD:
            self._send(queue, body)
        return len(ODD)

    def delay(self, queue: str, seconds: float, count: int = 1) -> None:
        for _ in range(count):
            self._send(queue, "{}", DelaySeconds=int(seconds))

    def reserve(self, queue: str, count: int) -> None:
        assert len(self._receive(queue, count, VisibilityTimeout=600)) == count

    def drain(self, queue: str) -> None:
        url = self.url(queue)
        for message in self._receive(queue, 10):
            self.client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def out_of_reach(self) -> AbstractContextManager[None]:
        return self.reach()

    def url(self, queue: str, **attributes: str) -> str:
        """The queue's URL; it is there from now on."""
        answer = self.client.create_queue(QueueName=self.prefix + queue, Attributes=attributes)
        return str(answer["QueueUrl"])

    def _send(self, queue: str, body: str, **more: Any) -> None:
        self.client.send_message(QueueUrl=self.url(queue), MessageBody=body, **more)

    def _receive(self, queue: str, count: int, **more: Any) -> list[Any]:
        answer = self.client.receive_message(QueueUrl=self.url(queue), MaxNumberOfMessages=count, **more)
        return list(answer.get("Messages", []))
