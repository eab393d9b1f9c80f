"""The broker of a table: found by its URL, and what is said where that is wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fleetd.brokers.opening import open_broker
from fleetd.core.spec import BrokerSpec
from fleetd.errors import UsageError

SECRET = "S3cretWord"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"carrier-pigeon://{SECRET}@loft", "no broker is known by such a URL"),
        (f"redis://me:{SECRET}@h1,h2/0", "the redis:// URL: one host, or begin it with"),
        (f"redis+cluster://me:{SECRET}@h1/3", "a Cluster has database 0 only"),
        (f"rediss://me:{SECRET}@h1/0?ssl_ca_certs=/nowhere.pem", "ssl_ca_certs: /nowhere.pem: no such file"),
    ],
)
def test_a_url_that_makes_no_sense(url: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_broker(BrokerSpec("jobs", url))
    assert str(caught.value).startswith("[broker.jobs] url: ")
    assert told in str(caught.value)
    assert SECRET not in str(caught.value)


WITHOUT = """
import sys
from fleetd.brokers.opening import open_broker
from fleetd.core.spec import BrokerSpec
assert not any(name.startswith(("redis", "boto3", "psycopg")) for name in sys.modules), "imported too early"
open_broker(BrokerSpec("jobs", "redis://localhost"))
assert "redis" in sys.modules
"""


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", WITHOUT], check=True, timeout=30)


LACKING = """
import sys
from fleetd.brokers.opening import open_broker
from fleetd.core.spec import BrokerSpec
from fleetd.errors import UsageError
url, package = sys.argv[1:]
sys.modules[package] = None
try:
    open_broker(BrokerSpec("jobs", url))
except UsageError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [
        ("amqps://h/v", "pika", "amqp"),
        ("sqs://eu-west-1", "boto3", "sqs"),
        ("postgresql://h/db", "psycopg", "postgresql"),
        ("mysql://h/db", "pymysql", "mysql"),
    ],
)
def test_a_package_that_is_not_installed(url: str, package: str, extra: str) -> None:
    command = [sys.executable, "-W", "error", "-c", LACKING, url, package]
    done = subprocess.run(command, check=True, timeout=30, capture_output=True, text=True)
    scheme = url.partition(":")[0]
    told = f"{scheme}:// needs the Python package {package}: pip install 'fleetd[{extra}]'"
    assert done.stdout == f"[broker.jobs] url: {told}\n"
