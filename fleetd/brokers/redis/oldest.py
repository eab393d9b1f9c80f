"""When the oldest job of a queue was enqueued.

Asked by a script, since no command reads a part of a list's element: what comes over the network is bounded, whatever
the payload is, and a record is looked up in the same round trip.  It only reads, and is run as such (EVALSHA_RO, from
Redis 7 on), so that the user needs no permission to write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from redis.exceptions import NoPermissionError, NoScriptError, ResponseError

from fleetd.brokers.payloads import enqueued_at
from fleetd.brokers.redis.counting import Words
from fleetd.core.moments import moment
from fleetd.core.queues import Place

_INDEX = {"first": "0", "last": "-1"}
_VERBS = (("EVALSHA_RO", "EVAL_RO"), ("EVALSHA", "EVAL"))
_REST = 60  # reads without a question, once a server has refused all verbs


@cache
def script() -> tuple[str, str]:
    """The text of the script, and the SHA1 by which a server that has run it knows it."""
    text = (Path(__file__).parent / "oldest.lua").read_text()
    return text, hashlib.sha1(text.encode()).hexdigest()  # noqa: S324 - by which Redis knows scripts


class Oldest:
    """Asks as the server understands it and allows; where it does neither, the oldest job's age is not known."""

    def __init__(self) -> None:
        self._verbs = 0
        self._rest = 0

    def begin(self) -> None:
        """Another read."""
        if self._verbs == len(_VERBS):
            self._rest -= 1
            self._verbs = 0 if self._rest == 0 else self._verbs

    def command(self, place: Place, *, by_text: bool = False) -> Words | None:
        """What to ask; None: nothing, for the age cannot be known."""
        if self._verbs == len(_VERBS) or not place.ready or not place.enqueued_at or place.oldest not in _INDEX:
            return None
        text, sha = script()
        by_hash, whole = _VERBS[self._verbs]
        start = (whole, text) if by_text else (by_hash, sha)
        fields = place.enqueued_at if place.record and not place.record_field else ()
        return (
            *start,
            "1",
            place.ready[0],
            _INDEX[place.oldest],
            place.record or "",
            place.record_field or "",
            *fields,
        )

    def should_repeat(self, answers: Sequence[Any]) -> bool:
        """Whether to ask again by text; the next verb is taken where this one is unknown or not allowed."""
        refused = [answer for answer in answers if isinstance(answer, ResponseError)]
        if any(_is_refused(answer) for answer in refused):
            self._verbs += 1
            self._rest = _REST
            return self._verbs < len(_VERBS)
        return any(isinstance(answer, NoScriptError) for answer in refused)


def _is_refused(answer: ResponseError) -> bool:
    if isinstance(answer, NoPermissionError):
        return " key" not in str(answer).lower()
    return "unknown command" in str(answer).lower()


def oldest_at(place: Place, answer: Any) -> float | None:
    """Unix seconds; None: there is no such job, or it does not tell."""
    if not isinstance(answer, list):
        return None
    if place.record and not place.record_field:
        return next((found for value in answer if (found := moment(value)) is not None), None)
    return enqueued_at(answer, place.enqueued_at)
