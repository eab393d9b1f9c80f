"""The Broker port on Amazon SQS, by boto3: two calls for a queue at first, then one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from importlib import import_module
from threading import Lock
from typing import Any, TypeVar

from fleetd.brokers.packages import need
from fleetd.brokers.port import Broker
from fleetd.brokers.threads import Threads
from fleetd.config.sqs_url import region_of
from fleetd.core.queues import UNKNOWN, Depth, Place
from fleetd.core.spec import BrokerSpec
from fleetd.errors import FleetdError, UnreachableError

_T = TypeVar("_T")

_IN_FLIGHT = 10  # calls
_CALL_WITHIN = 2  # seconds to connect, and as many for an answer
_WITHIN = 5  # seconds for a read
_MADE_WITHIN = 30  # seconds for boto3 to be imported and to find credentials, before the first read
_DEPTH = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessagesNotVisible")
_VISIBILITY = "VisibilityTimeout"

_NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "InvalidAddress")
_LOGIN = (
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "MissingAuthenticationToken",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)
_FORBIDDEN = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "OptInRequired")
_THROTTLED = re.compile(r"Throttl|RequestLimitExceeded|TooManyRequests|OverLimit|SlowDown")
_NEEDS = "sqs:GetQueueUrl and sqs:GetQueueAttributes"
_FOUND = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"


def open(spec: BrokerSpec) -> Broker:  # noqa: A001 - every kind of broker has it by this name
    """A reader of the queues in the region that the spec's `sqs://REGION` names; nothing is connected yet.

    Raises UsageError where boto3 is not installed, and for a URL that names more than a region.
    """
    return _Sqs(_Account(spec))


async def visibility_timeout(spec: BrokerSpec, queue: str) -> float | None:
    """The seconds after which the queue gives a job in hand to another worker; None: there is no such queue.

    `queue` is its name in SQS, or its URL.  Raises what `Broker.read` does.
    """
    account, threads = _shared(spec), Threads(1)
    async with account.reading(threads):
        found = await threads.run(partial(account.attributes, queue, (_VISIBILITY,)))
    return None if found is None else float(found[_VISIBILITY])


@lru_cache(maxsize=16)
def _shared(spec: BrokerSpec) -> _Account:
    """One client for the questions about all queues."""
    return _Account(spec)


class _ForbiddenError(UnreachableError):
    """A queue that the user may not read: Amazon permits by queue, so that others may be read all the same."""


class _Sqs:
    """All queues of one account and region."""

    def __init__(self, account: _Account) -> None:
        self._account = account
        self._threads = Threads(_IN_FLIGHT)

    async def read(self, places: Sequence[Place]) -> Mapping[Place, Depth]:
        """The queues, as many at a time as may be."""
        names = list(dict.fromkeys(name for place in places for name in place.ready))
        async with self._account.reading(self._threads):
            answers = await self._all(names)
        refused = [answer for answer in answers if isinstance(answer, _ForbiddenError)]
        if refused and len(refused) == len(answers):
            raise refused[0]
        depths = [UNKNOWN if isinstance(answer, _ForbiddenError) else answer for answer in answers]
        found = dict(zip(names, depths, strict=True))
        return {place: _sum([found[name] for name in place.ready]) for place in places}

    async def close(self) -> None:
        """Let go of all connections."""
        self._account.close()

    async def _all(self, names: Iterable[str]) -> list[Depth | _ForbiddenError]:
        """The first that fails otherwise is the answer: the others would fail alike, or are asked again soon."""
        calls = [asyncio.ensure_future(self._threads.run(partial(self._depth, name))) for name in names]
        try:
            return await asyncio.gather(*calls)
        finally:
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    def _depth(self, name: str) -> Depth | _ForbiddenError:
        try:
            attributes = self._account.attributes(name, _DEPTH)
        except _ForbiddenError as error:
            return error
        if attributes is None:
            return UNKNOWN
        ready, delayed, reserved = (int(attributes[key]) for key in _DEPTH)
        return Depth(ready=ready, delayed=delayed, reserved=reserved)


class _Account:
    """What is asked of SQS, by boto3's client, which threads may share.

    What it asks SQS for waits for the answer, in the thread that asks.
    """

    def __init__(self, spec: BrokerSpec) -> None:
        need("boto3", "sqs", spec)
        self._region = region_of(spec.url)
        self._endpoint = spec.endpoint
        self._label = f"Amazon SQS in {self._region}" if self._region else "Amazon SQS"
        self._urls: dict[str, str] = {}  # by the name of the queue
        self._client: Any = None
        self._making = Lock()

    @asynccontextmanager
    async def reading(self, threads: Threads) -> AsyncGenerator[None]:
        """The time that a read has.  It begins with the client, which a busy host takes longer to make than to ask.

        Raises UnreachableError when either time is over.
        """
        if self._client is None:
            async with self._within(_MADE_WITHIN, "boto3 was not ready"):
                await threads.run(partial(self._explained, self._made, ""))
        async with self._within(_WITHIN, "no answer"):
            yield

    @asynccontextmanager
    async def _within(self, seconds: float, otherwise: str) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise UnreachableError(f"{self._label}: {otherwise} within {seconds} s") from None

    def attributes(self, queue: str, names: Sequence[str]) -> Mapping[str, str] | None:
        """Attributes of a queue; None: there is no such queue."""
        return self._explained(lambda: self._attributes(queue, names), queue)

    def close(self) -> None:
        """Close what lies idle; a call under way goes on to its end."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _attributes(self, queue: str, names: Sequence[str]) -> Mapping[str, str]:
        client = self._made()
        try:
            if queue not in self._urls:
                is_url = "://" in queue
                self._urls[queue] = queue if is_url else client.get_queue_url(QueueName=queue)["QueueUrl"]
            found: Mapping[str, str] = client.get_queue_attributes(
                QueueUrl=self._urls[queue], AttributeNames=list(names)
            )["Attributes"]
        except BaseException:
            self._urls.pop(queue, None)  # a queue made anew may have another
            raise
        return found

    def _made(self) -> Any:
        """The client; to make it takes a good part of a second."""
        with self._making:
            if self._client is None:
                # Here, since it takes half a second; by name, since it has no types.
                config = import_module("botocore.config").Config(
                    connect_timeout=_CALL_WITHIN,
                    read_timeout=_CALL_WITHIN,
                    retries={"mode": "standard", "total_max_attempts": 2},
                    max_pool_connections=_IN_FLIGHT,
                )
                session = import_module("boto3.session").Session()  # the default one is not for threads
                self._client = session.client(
                    "sqs", region_name=self._region, endpoint_url=self._endpoint, config=config
                )
            return self._client

    def _explained(self, call: Callable[[], _T], queue: str) -> _T | None:
        botocore: Any = import_module("botocore.exceptions")
        try:
            return call()
        except botocore.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _NO_QUEUE:
                return None
            raise self._refusal(code, queue) from None
        except botocore.InvalidRegionError:
            raise FleetdError(f"{self._label}: no region has such a name: write sqs://eu-west-1, say") from None
        except botocore.NoRegionError:
            raise FleetdError(f"{self._label}: no region is given: write sqs://REGION, or set AWS_REGION") from None
        except (botocore.NoCredentialsError, botocore.PartialCredentialsError):
            raise FleetdError(
                f"{self._label}: boto3 finds no credentials in the daemon's environment: {_FOUND}"
            ) from None
        except botocore.ProfileNotFound:
            raise FleetdError(f"{self._label}: the profile that AWS_PROFILE names is not there") from None
        except (botocore.HTTPClientError, botocore.ConnectionError) as error:
            raise UnreachableError(f"{self._label}: {_no_connection(error, botocore)}") from None
        except (botocore.BotoCoreError, ValueError) as error:
            raise FleetdError(f"{self._label}: boto3 gave up: {type(error).__name__}") from None

    def _refusal(self, code: str, queue: str) -> FleetdError:
        """The error for an answer that is none; Amazon's own words would name the user."""
        if code in _LOGIN:
            return UnreachableError(f"{self._label}: the credentials are refused ({code})")
        if code in _FORBIDDEN:
            return _ForbiddenError(f"{self._label}: queue {queue}: the user lacks {_NEEDS} ({code})")
        if _THROTTLED.search(code):
            return UnreachableError(f"{self._label}: too many requests ({code}): read less often, with `every`")
        if code.isdigit() or code in {"InternalError", "InternalFailure", "ServiceUnavailable"}:
            return UnreachableError(f"{self._label}: takes no requests now ({code})")
        return FleetdError(f"{self._label}: queue {queue}: the answer was {code}")


def _no_connection(error: Exception, botocore: Any) -> str:
    if isinstance(error, botocore.SSLError):
        return "TLS failed: is its certificate one that this host trusts (AWS_CA_BUNDLE)?"
    if isinstance(error, (botocore.ConnectTimeoutError, botocore.ReadTimeoutError)):
        return "no answer"
    return "no connection: is the region's name right, and does the network let this host out?"


def _sum(depths: Sequence[Depth]) -> Depth:
    """The depth of a queue that stands in several; UNKNOWN if one of them is not there."""
    counts = [(depth.ready, depth.delayed, depth.reserved) for depth in depths]
    ready, delayed, reserved = (
        None if None in column else sum(filter(None, column)) for column in zip(*counts, strict=True)
    )
    return Depth(ready=ready, delayed=delayed, reserved=reserved)
