"""Queues of real Celery and Dramatiq workers on a real RabbitMQ, while jobs are in their hands."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetd.brokers.amqp import open as open_broker
from fleetd.core.queues import Depth
from fleetd.core.spec import BrokerSpec
from fleetd.frameworks.reading import shipped
from tests.support.celery_app import CeleryApp
from tests.support.dramatiq_app import DramatiqApp
from tests.support.python_app import PythonApp
from tests.support.rabbitmq_server import RabbitMQ
from tests.support.waiting import wait_for
