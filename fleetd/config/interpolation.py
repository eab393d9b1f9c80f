"""`${NAME}` and `${NAME:-default}` in a string; `$${` is a literal `${`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from fleetd.config.problems import Unfit

_REFERENCE = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\})?")


class Text(Struct, frozen=True):
    """A string of a pool file, in its three forms."""

    value: str  # what it means
    shown: str  # as written: the only form that messages and displays may use
    template: str  # what it means, with the braces of values from the environment doubled, so that they stay literal

    @property
    def interpolated(self) -> bool:
        """Whether any of it came from the environment."""
        return "${" in self.shown and self.value != self.shown


def interpolate(written: str, environ: Mapping[str, str]) -> Text:
    """Fill in the environment; a default stands for a variable that is unset or empty.

    Raises Unfit for a variable that is unset and has no default, and for a `${` that is neither form.
    """
    value: list[str] = []
    template: list[str] = []
    end = 0
    for match in _REFERENCE.finditer(written):
        literal = written[end : match.start()]
        end = match.end()
        found = _found(match, environ)
        value += [literal, found]
        template += [literal, found.replace("{", "{{")]
    rest = written[end:]
    return Text("".join([*value, rest]), written, "".join([*template, rest]))


def _found(match: re.Match[str], environ: Mapping[str, str]) -> str:
    if match[0] == "$${":
        return "${"
    name, default = match["name"], match["default"]
    if name is None:
        raise Unfit("${ is not followed by a name and }", "write ${NAME} or ${NAME:-default}, and $${ for a literal ${")
    if default is not None:
        return environ.get(name) or default.removeprefix(":-")
    if name not in environ:
        raise Unfit(f"${{{name}}} is not set in the environment", f"set it, or give a default: ${{{name}:-…}}")
    return environ[name]
