"""`{slot}`, `{pool}`, `{host}`, `{queues}`, `{epoch}`, `{run}` in commands and the like; `{{` is a brace."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fleetd.config.problems import Unfit
from fleetd.config.suggestions import nearest
from fleetd.core.placeholders import AT_SPAWN

_BRACE = re.compile(r"\{\{|\{(?:([^{}]*)\})?")


def placeholders(template: str) -> Iterator[str]:
    """The names in braces, in their order; an opening brace without its end gives an empty name."""
    for match in _BRACE.finditer(template):
        if match[0] != "{{":
            yield match[1] or ""


def check_placeholders(template: str) -> None:
    """Raise Unfit for a name in braces that nothing would be filled in for."""
    for name in placeholders(template):
        if name in AT_SPAWN:
            continue
        if not name:
            raise Unfit("{ does not begin a placeholder", "write {{ for a literal brace")
        meant = nearest(name, AT_SPAWN)
        question = (
            f"did you mean {{{meant}}}?" if meant else f"there are {', '.join(f'{{{each}}}' for each in AT_SPAWN)}"
        )
        raise Unfit(f"unknown placeholder {{{name}}}", f"{question} ({{{{ is a literal brace)")


def uses_slot(*templates: str | None) -> bool:
    """Whether any of the texts differs from slot to slot."""
    return any("slot" in placeholders(template) for template in templates if template)
