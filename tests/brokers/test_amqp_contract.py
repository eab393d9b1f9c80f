"""The Broker port on a real RabbitMQ, over AMQP alone and by the management API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.brokers.contract import BrokerContract
from tests.support.rabbitmq_queues import RabbitWorld, rabbit_world
from tests.support.rabbitmq_server import RabbitMQ


class TestRabbitMQ(BrokerContract):
    @pytest.fixture(params=[False, True], ids=["amqp", "management"])
    def world(self, request: pytest.FixtureRequest, rabbitmq: RabbitMQ) -> Iterator[RabbitWorld]:
        with rabbit_world(rabbitmq, by_management=request.param) as world:
            yield world
