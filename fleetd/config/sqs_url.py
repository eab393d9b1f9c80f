"""The URL of Amazon SQS, which names a region and nothing else.

Nothing of a text that cannot be read is quoted: Celery's own form of it holds an access key and its secret.
"""

from __future__ import annotations

import re

from fleetd.errors import UsageError

_REGION = re.compile(r"[a-z0-9-]*")


def region_of(url: str) -> str | None:
    """The region that a URL names; None: it names none, so that boto3 finds one.  Raises UsageError."""
    region = url.partition("://")[2].strip("/")
    if not _REGION.fullmatch(region):
        raise UsageError(
            "the URL of Amazon SQS: write sqs://REGION, as in sqs://eu-west-1, and give credentials as boto3 finds them"
        )
    return region or None
