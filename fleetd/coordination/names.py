"""Names as they may come from a coordinator: what does not look like one is not handed on."""

from __future__ import annotations

import re

_NAME = r"[a-z0-9][a-z0-9_.-]{0,62}"
_HOST = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
_is_name = re.compile(_NAME).fullmatch
_is_host = re.compile(_HOST).fullmatch
_is_member = re.compile(f"{_HOST}/{_NAME}").fullmatch
_is_pause = re.compile(f"host:{_HOST}|pool:{_NAME}|host:{_HOST}:pool:{_NAME}").fullmatch


def is_name(text: str) -> bool:
    """Whether it can be a pool, a fleet or an instance."""
    return _is_name(text) is not None


def is_host(text: str) -> bool:
    """Whether it can be a host."""
    return _is_host(text) is not None


def is_member(text: str) -> bool:
    """Whether it can be a member: HOST/INSTANCE."""
    return _is_member(text) is not None


def is_pause(text: str) -> bool:
    """Whether it can say what is paused: "host:H", "pool:P", "host:H:pool:P"."""
    return _is_pause(text) is not None


def host_of(member: str) -> str:
    """The host of a member."""
    return member.partition("/")[0]
