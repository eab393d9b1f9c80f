"""What incidents may be about: the subjects that the files of this host name, and the text that a fleet calls one."""

from __future__ import annotations

from fleetd.core.alerts import MEANINGS, About, AlertSpec, Word
from fleetd.core.incident import Subject
from fleetd.core.state import State

LONGEST_KEY = 1000  # characters
_LONGEST_EPOCH = 16  # digits


def is_gone(state: State, alert: AlertSpec, subject: Subject) -> bool:
    """Whether an incident is about what the files do not name any more."""
    pool = None if subject.pool is None else state.pools.get(subject.pool)
    if subject.pool is not None and (pool is None or pool.removed or not alert.is_for(subject.pool)):
        return True
    match subject.word:
        case Word.LONG_WAIT:
            return pool is None or subject.detail not in pool.spec.launch.queues or not is_of(alert, subject.detail)
        case Word.BROKER_LOST:
            return subject.detail not in {each.spec.broker for each in state.pools.values()}
        case Word.REDIS_LOST | Word.NAME_TAKEN:
            return state.fleet is None
        case _:
            return False


def is_of(alert: AlertSpec, queue: str | None) -> bool:
    """Whether a queue is one of the alert's own."""
    return not alert.queues or queue in alert.queues


def named(state: State, key: str) -> tuple[AlertSpec, Subject] | None:
    """What the fleet calls `key`, as the files of this host have it; None: they name no such thing.

    Anyone who may write to Redis may have written it.
    """
    if len(key) > LONGEST_KEY or len(words := key.split(" ", 3)) < 3:  # noqa: PLR2004 - alert, word, pool
        return None
    alert_id, word, pool = words[:3]
    alert = next((each for rules in state.alerts.rules.values() for each in rules if each.id == alert_id), None)
    if alert is None or not alert.is_told or alert.on != word:
        return None
    subject = Subject(alert.on, None if pool == "-" else pool, words[3] if len(words) > 3 else None)  # noqa: PLR2004
    return (alert, subject) if _is_whole(alert, subject) and not is_gone(state, alert, subject) else None


def _is_whole(alert: AlertSpec, subject: Subject) -> bool:
    """Whether it has the parts that a subject of its word has, and no others."""
    detail = subject.detail
    match MEANINGS[subject.word].about:
        case About.POOL:
            return subject.pool is not None and detail is None
        case About.QUEUE if subject.word is Word.JOB_FAILURES:
            return subject.pool is not None and ((detail in alert.queues) if alert.queues else detail is None)
        case About.QUEUE:
            return subject.pool is not None and detail is not None
        case About.ROLLOUT:
            return (subject.pool is None) is not (detail is None) and (detail is None or _is_epoch(detail))
        case About.BROKER:
            return subject.pool is None and detail is not None
        case About.FLEET:
            return subject.pool is None and detail is None


def _is_epoch(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_EPOCH
