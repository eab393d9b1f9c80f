"""A real Dramatiq application: the stock `dramatiq` on Redis or RabbitMQ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dramatiq import Broker, Message

from tests.support.python_app import PythonApp, fails, numbered


@dataclass(frozen=True, slots=True)
class DramatiqApp(PythonApp):
    """Its workers have one thread, and fetch no message ahead."""

    name: ClassVar[str] = "dramatiq"

    def __post_init__(self) -> None:
        super(DramatiqApp, self).__post_init__()
        self.environment.update({"BROKER_URL": self.broker, "dramatiq_queue_prefetch": "1"})

    @property
    def options(self) -> Mapping[str, Any]:
        return {"broker": "tasks", "threads": 1}

    def enqueue(
        self,
        count: int,
        *,
        queue: str = "default",
        seconds: float = 0.0,
        first: int = 1,
        fail_every: int = 0,
        gate: str = "",
        delay: float = 0.0,
    ) -> set[str]:
        """Pushes `count` jobs that work for `seconds`, and until the file `gate` is there; returns their ids.

        Each whose number is a multiple of `fail_every` fails.  With `delay` they are due so many seconds later.
        """
        jobs = numbered(queue, first, count)
        broker = self._broker()
        try:
            for number, job in jobs.items():
                arguments = (job, seconds, fails(number, fail_every), gate)
                self._push(broker, "transcode", queue, arguments, delay)
        finally:
            broker.close()
        return set(jobs.values())

    def send(self, task: str, queue: str, *arguments: Any) -> None:
        """Pushes one job."""
        broker = self._broker()
        try:
            self._push(broker, task, queue, arguments, 0.0)
        finally:
            broker.close()

    def _push(self, broker: Broker, task: str, queue: str, arguments: tuple[Any, ...], delay: float) -> None:
        broker.declare_queue(queue)
        message: Message[None] = Message(
            queue_name=queue, actor_name=f"{task}-{queue}", args=arguments, kwargs={}, options={}
        )
        broker.enqueue(message, delay=int(delay * 1000) or None)

    def _broker(self) -> Broker:
        if self.broker.startswith("amqp"):
            from dramatiq.brokers.rabbitmq import RabbitmqBroker  # noqa: PLC0415 - loads another client

            return RabbitmqBroker(url=self.broker)
        from dramatiq.brokers.redis import RedisBroker  # noqa: PLC0415 - the same

        return RedisBroker(url=self.broker)
