"""Tables in which two frameworks keep their jobs, with rows of known numbers, and the queries that count them.

The tables are those of the frameworks' own migrations (Laravel's `queue:table`, Solid Queue's `queue_schema.rb`), with
the columns that a count needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fleetd.core.queues import Place

Execute = Callable[[str, tuple[Any, ...]], Any]  # a statement with ? for each value


def laravel_place(queue: str, prefix: str = "") -> Place:
    """Laravel's driver `database`."""
    jobs = f"FROM {prefix}jobs WHERE queue = :queue AND"
    return Place(
        queue=queue,
        ready=(f"SELECT COUNT(*) {jobs} reserved_at IS NULL AND available_at <= :now",),
        delayed=(f"SELECT COUNT(*) {jobs} reserved_at IS NULL AND available_at > :now",),
        reserved=(f"SELECT COUNT(*) {jobs} reserved_at IS NOT NULL",),
        oldest=f"SELECT MIN(available_at) {jobs} reserved_at IS NULL AND available_at <= :now",
    )


def solid_queue_place(queue: str) -> Place:
    """Solid Queue, whose jobs move from table to table."""
    scheduled = "FROM solid_queue_scheduled_executions WHERE queue_name = :queue AND scheduled_at"
    claimed = "FROM solid_queue_claimed_executions c JOIN solid_queue_jobs j ON j.id = c.job_id"
    return Place(
        queue=queue,
        ready=(
            "SELECT COUNT(*) FROM solid_queue_ready_executions WHERE queue_name = :queue",
            f"SELECT COUNT(*) {scheduled} <= :utcnow",
        ),
        delayed=(f"SELECT COUNT(*) {scheduled} > :utcnow",),
        reserved=(f"SELECT COUNT(*) {claimed} WHERE j.queue_name = :queue",),
        oldest="SELECT MIN(created_at) FROM solid_queue_ready_executions WHERE queue_name = :queue",
    )


def make_laravel(
    execute: Execute, queue: str, identity: str = "INTEGER", *, ready: int, delayed: int, reserved: int, age: int = 0
) -> None:
    """Laravel's table, where it is not there yet, and rows; the oldest ready job waits for `age` seconds.

    `identity` is the type of an id; Laravel's counts up by itself.
    """
    execute(
        f"CREATE TABLE IF NOT EXISTS jobs (id {identity}, queue VARCHAR(255) NOT NULL, payload TEXT NOT NULL,"
        " attempts SMALLINT NOT NULL, reserved_at INTEGER NULL, available_at INTEGER NOT NULL,"
        " created_at INTEGER NOT NULL)",
        (),
    )
    now = int(time.time())
    rows = [(None, now - max(age - number, 0)) for number in range(ready)]
    rows += [(None, now + 3600)] * delayed + [(now, now - 9999)] * reserved
    columns = "(queue, payload, attempts, reserved_at, available_at, created_at)"
    for reserved_at, available_at in rows:
        values = (queue, reserved_at, available_at, available_at)
        execute(f"INSERT INTO jobs {columns} VALUES (?, '{{}}', 0, ?, ?, ?)", values)


def make_solid_queue(
    execute: Execute, queue: str, timestamp: str, *, ready: int, due: int, delayed: int, reserved: int, age: int = 0
) -> None:
    """Solid Queue's tables and rows; `timestamp` is the type that Rails gives to a time in that database."""
    names = ("ready_executions", "scheduled_executions", "claimed_executions", "jobs")
    for name in names:
        execute(
            f"CREATE TABLE IF NOT EXISTS solid_queue_{name} (id INTEGER, job_id INTEGER, queue_name VARCHAR(255),"
            f" scheduled_at {timestamp}, created_at {timestamp})",
            (),
        )
    now = time.time()
    rows = [("ready_executions", now - max(age - number, 0)) for number in range(ready)]
    rows += [("scheduled_executions", now - 1 - number) for number in range(due)]
    rows += [("scheduled_executions", now + 3600)] * delayed
    rows += [("claimed_executions", now)] * reserved
    for number, (name, at) in enumerate(rows):
        # As Rails writes it: in UTC, without a zone.
        moment = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        values = (number, number, queue, moment, moment)
        execute(f"INSERT INTO solid_queue_{name} VALUES (?, ?, ?, ?, ?)", values)
        if name == "claimed_executions":
            execute("INSERT INTO solid_queue_jobs VALUES (?, ?, ?, ?, ?)", values)
