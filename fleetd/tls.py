"""TLS for asyncio where the daemon has imported it without: whoever opens a TLS connection asks for it first."""

from __future__ import annotations

import sys
from importlib import import_module, reload

_THAT_NAME_IT = ("base_events", "selector_events", "proactor_events", "sslproto")


def import_asyncio_without() -> None:
    """Import asyncio and leave OpenSSL out: 4 MB, and a third of the time.  Most daemons open no TLS connection."""
    sys.modules["ssl"] = None  # type: ignore[assignment] # what makes an import fail
    import_module("asyncio")
    del sys.modules["ssl"]


def make_available() -> None:
    """Have asyncio speak TLS from now on, if it does not already."""
    sslproto = import_module("asyncio.sslproto")
    if sslproto.ssl is not None:
        return
    ssl = import_module("ssl")
    reload(sslproto)  # it has constants made of what ssl names
    for name in _THAT_NAME_IT:
        module = sys.modules.get(f"asyncio.{name}")
        if module is not None and hasattr(module, "ssl"):
            module.ssl = ssl  # type: ignore[attr-defined] # looked up
