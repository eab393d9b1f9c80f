"""The Broker port on a real server, for each of the ways in which frameworks lay queues out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fleetd.frameworks.places import Places
from tests.brokers.contract import SECRET, BrokerContract
from tests.support.redis_queues import MESSAGES, PAYLOADS, RECORDS, RedisWorld, raw_client, redis_world, restarted
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.redis


class TestRedis(BrokerContract):
    @pytest.fixture(params=[PAYLOADS, RECORDS, MESSAGES], ids=["payloads", "records", "messages"])
    def world(self, request: pytest.FixtureRequest, redis_server: RedisServer) -> Iterator[RedisWorld]:
        places: Places = request.param
        # The default user takes any password, so that there is a secret to keep.
        url = f"redis://default:{SECRET}@127.0.0.1:{redis_server.port}/0"
        client = raw_client(redis_server)
        with redis_world(url, client, places, lambda: restarted(redis_server)) as world:
            yield world
        client.close()
