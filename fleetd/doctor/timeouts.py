"""What a broker says of the time that a job may take, against what the pools say."""

from __future__ import annotations

from collections.abc import Iterator

from fleetd.config.durations import format_duration
from fleetd.config.pools import ReadPool
from fleetd.core.spec import Seconds
from fleetd.doctor.report import Place, Rule, Told, place_of, pool_subject

RETRY_AFTER = Rule(
    "retry-after",
    "after which time the broker gives a job in hand to another worker, as the framework or the broker itself says "
    "(Laravel's `retry_after`, Celery's `visibility_timeout`, the visibility timeout of an SQS queue), against "
    "`job-timeout`",
    "a job that takes longer is done twice, by two workers at once",
    "make it longer than job-timeout",
)
WRITTEN = Rule(
    "retry-after-written",
    "`retry-after` of [broker] against what the framework or the broker itself says",
    "`fleetd check` judges job-timeout by what is written, and finds nothing",
    "write what is true",
)
CONSUMER_TIMEOUT = Rule(
    "consumer-timeout",
    "RabbitMQ's `consumer_timeout` against `job-timeout`, where jobs are acknowledged when they are done",
    "RabbitMQ closes the channel of a consumer that acknowledges later: its jobs are delivered again, and done twice",
    "raise consumer_timeout in rabbitmq.conf (milliseconds), or x-consumer-timeout of the queue, or lower job-timeout",
)
RULES = (RETRY_AFTER, WRITTEN, CONSUMER_TIMEOUT)


def retry_after(
    pool: ReadPool,
    found: Seconds,
    said_by: str,
    broker: Place | None,
    *,
    against: Seconds | None = None,
    remedy: str = "",
) -> Iterator[Told]:
    """What is to be said of a pool whose jobs are given away after `found` seconds, as `said_by` says.

    `broker` is the line of its broker's retry-after, `against` the longest job where the pool sets no job-timeout.
    """
    subject = pool_subject(pool.spec.name)
    longest = pool.spec.job_timeout if pool.spec.job_timeout is not None else against
    after = f"a job in hand is given to another worker after {format_duration(found)} ({said_by})"
    if longest is None:
        yield RETRY_AFTER.ok(subject, f"{after}; no job-timeout is set")
    elif found <= longest:
        what = f"{after}, and may take {format_duration(longest)}"
        yield RETRY_AFTER.error(subject, what, place_of(pool.node, "job-timeout"), remedy=remedy)
    else:
        yield RETRY_AFTER.ok(subject, f"{after}, and may take {format_duration(longest)}")
    written = None if pool.broker is None else pool.broker.retry_after
    if written is not None and written != found:
        what = f"{said_by} is {format_duration(found)}, and retry-after says {format_duration(written)}"
        yield WRITTEN.warning(subject, what, broker, remedy=f'write retry-after = "{format_duration(found)}"')


def consumer_timeout(pool: ReadPool, found: Seconds | None, *, is_default: bool) -> Told:
    """What is to be said of a pool on a RabbitMQ that waits `found` seconds for an acknowledgement; None: for ever.

    `is_default`: RabbitMQ does not tell what its configuration says, and this is what holds without.
    """
    subject = pool_subject(pool.spec.name)
    if found is None:
        return CONSUMER_TIMEOUT.ok(subject, "this RabbitMQ waits for acknowledgements without a limit")
    waits = f"RabbitMQ waits {format_duration(found)} for the acknowledgement of a job"
    waits += " (its default; its configuration is not known)" if is_default else ""
    longest = pool.spec.job_timeout
    if longest is None:
        return CONSUMER_TIMEOUT.ok(subject, f"{waits}; no job-timeout is set")
    what = f"{waits}, and a job may take {format_duration(longest)}"
    if found <= longest:
        return CONSUMER_TIMEOUT.warning(subject, what, place_of(pool.node, "job-timeout"))
    return CONSUMER_TIMEOUT.ok(subject, what)
