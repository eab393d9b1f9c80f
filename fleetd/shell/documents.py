"""JSON for what the daemon keeps and passes on: typed values, whatever bytes the names of files are made of."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def _plain(value: object) -> object:
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise NotImplementedError(f"{type(value)} is no JSON")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode


def encode(value: object) -> bytes:
    """A value as one line of JSON; what is no UTF-8 in a text (os.fsdecode) is escaped, and comes back by `decode`."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value, enc_hook=_plain), separators=(",", ":")).encode()


def decode(text: bytes | str, kind: type[T]) -> T:
    """The value of a JSON text; fields that `kind` does not know are left out.  Raises ValueError if it is not one."""
    plain: Any = json.loads(text)
    return msgspec.convert(plain, kind)


def encode_any(value: object) -> bytes:
    """A value as JSON for others; what is no text (a path or an argument that is not UTF-8) has `?` in its place."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return _encode(_sound(msgspec.to_builtins(value, enc_hook=_plain)))


def _sound(value: Any) -> Any:
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case dict():
            return {_sound(key): _sound(each) for key, each in value.items()}
        case list() | tuple():
            return [_sound(each) for each in value]
        case _:
            return value
