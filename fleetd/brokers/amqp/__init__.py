"""RabbitMQ, over AMQP 0-9-1 and by its management API."""

from __future__ import annotations

import ssl

from fleetd.brokers.amqp.broker import RabbitMQ
from fleetd.brokers.amqp.management import Management
from fleetd.brokers.packages import need
from fleetd.config import management_url
from fleetd.config.amqp_url import AmqpUrl, Tls, parse
from fleetd.core.spec import BrokerSpec
from fleetd.errors import UsageError


def open(spec: BrokerSpec) -> RabbitMQ:  # noqa: A001 - each kind of broker has one
    """The broker of an amqp:// or amqps:// URL, not asked yet.

    Raises UsageError, also where pika is not installed.
    """
    need("pika", "amqp", spec)
    url = parse(spec.url)
    context = None if url.tls is None else _context(url, url.tls)
    if spec.management is None:
        return RabbitMQ(url, context, None)
    api = management_url.parse(spec.management, url.user, url.password)
    secure = (context or ssl.create_default_context()) if api.is_tls else None
    return RabbitMQ(url, context, Management(api, secure, url.vhost))


def _context(url: AmqpUrl, tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        raise UsageError(
            f"{url}: the TLS files cannot be used: are they there, are they PEM, and is the key the certificate's?"
        ) from None
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
