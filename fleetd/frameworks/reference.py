"""docs/reference/frameworks.md, made from the table of keys and the shipped files.

`python -m fleetd.frameworks.reference` prints it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from fleetd.core.signals import name_of
from fleetd.core.spec import LineMeaning
from fleetd.frameworks.framework import Framework, builtin, builtin_names
from fleetd.frameworks.keys import (
    EVENT_KEYS,
    OPTION_KEYS,
    PATTERN_KEYS,
    PLACE_KEYS,
    PLACEHOLDERS,
    PROBE_KEYS,
    TOP_KEYS,
    Key,
)
from fleetd.frameworks.places import Places

_HEAD = """\
# Frameworks

<!-- Generated: python -m fleetd.frameworks.reference > docs/reference/frameworks.md -->

A framework is data: one TOML file that says how its workers are started, told to stop, and understood. The shipped ones
are listed below; a pool file adds another as `[framework.NAME]` with the same keys, and a pool uses it by
`framework = "NAME"` ([an example from end to end](../frameworks.md)). Keys may be written in snake_case too.

```toml
[framework.encoder]
command = ["/usr/local/bin/encode", "--threads={options.threads}", ["--queue", "{queue}"]]
drain-signal = "INT"
jobs-at-once = 1

[framework.encoder.options.threads]
default = "2"

[[framework.encoder.patterns]]
meaning = "done"
literal = "encoded "
regex = '^encoded (?P<id>\\d+) from (?P<queue>\\w+) in (?P<runtime>[\\d.]+)s'
```
"""

_LINES = """\
A line is read up to 4 KiB, without colours. The literal is looked for in whole chunks of output, so choose one that is
rare. Python's `re` backtracks, so an expression that could take exponential or cubic time is refused: nested
quantifiers, alternatives in a repeat that begin alike, several repeats that can run over the same text. Possessive
quantifiers (`[^]]*+`) are always fine. A runtime may be written as `0.3`, `12.3ms`, `1m 2s`, `0:00:01.5`. In a line
that begins with `{` the captured text is unescaped as JSON.
"""

_DROPPED = """\
An argument in which one has no value is dropped, a group (a list in the list) as a whole. `{{` is a literal brace.
"""


def render() -> str:
    """The whole page."""
    parts = [
        _HEAD,
        "## Keys\n",
        _table(("key", "value", "meaning"), _rows(TOP_KEYS)),
        "### In `options.NAME`\n",
        _table(("key", "value", "meaning"), _rows(OPTION_KEYS)),
        "### In each of `patterns`\n",
        _table(("key", "value", "meaning"), _rows(PATTERN_KEYS)),
        _LINES,
        "### In `brokers.KIND`\n",
        _table(("key", "value", "meaning"), _rows(PLACE_KEYS)),
        "### In `brokers.redis.events`\n",
        _table(("key", "value", "meaning"), _rows(EVENT_KEYS)),
        "### In each of `probes`\n",
        _table(("key", "value", "meaning"), _rows(PROBE_KEYS)),
        "## Placeholders of `command`\n",
        _table(("placeholder", "gives", "meaning"), _rows(PLACEHOLDERS)),
        _DROPPED,
        "## Shipped frameworks\n",
        *(_section(framework) for framework in map(builtin, builtin_names()) if framework),
    ]
    return "\n".join(parts)


def _section(framework: Framework) -> str:
    lines = [f"### {framework.name}\n", f"{framework.about[:1].upper()}{framework.about[1:]}.\n"]
    if framework.arguments:
        command = "\n".join("  " + " ".join(_quoted(text) for text in group) for group in framework.arguments)
        lines.append(f"```\n{command}\n```\n")
    lines += [f"- {fact}" for fact in _facts(framework)]
    if framework.options:
        rows = [
            (f"`{name}`", "" if default is None else f"`{default}`", framework.option_meanings[name])
            for name, default in framework.options.items()
        ]
        lines += ["", _table(("option", "default", "meaning"), rows)]
    else:
        lines.append("")
    return "\n".join(lines)


def _facts(framework: Framework) -> Iterable[str]:
    """What a file says, in sentences; the signals first."""
    signals = (
        ("drain", framework.drain_signal),
        ("pause", framework.pause_signal),
        ("resume", framework.resume_signal),
    )
    yield "Signals: " + ", ".join(f"{use} {name_of(number)}" for use, number in signals if number is not None)
    if framework.exit_codes is not None:
        reasons = (
            f"{code} ({framework.exit_reasons[code]})" if code in framework.exit_reasons else str(code)
            for code in sorted(framework.exit_codes)
        )
        yield "Planned exit codes: " + ", ".join(reasons)
    if framework.stop_timeout is not None:
        yield f"Stop timeout: {framework.stop_timeout:g} s"
    if framework.shutdown_timeout is not None:
        yield f"Shutdown timeout, the application's own: {framework.shutdown_timeout:g} s"
    if framework.jobs_at_once is not None:
        yield f"Jobs at once: {framework.jobs_at_once}"
    told = [meaning for meaning in LineMeaning if any(pattern.meaning is meaning for pattern in framework.patterns)]
    yield "Its output tells: " + (", ".join(told) or "nothing")
    if framework.enforces:
        yield "Enforces by itself: " + ", ".join(sorted(framework.enforces))
    if framework.broker_env:
        yield f"Gets the broker's URL in `{framework.broker_env}`"
    for kind, places in framework.places.items():
        yield f"Queues in {kind}: " + _where(places)
    if framework.probes:
        yield "`fleetd doctor` asks for: " + ", ".join(probe.about for probe in framework.probes)


def _where(places: Places) -> str:
    kinds = (("ready", places.ready), ("delayed", places.delayed), ("reserved", places.reserved))
    where = "; ".join(f"{kind} {', '.join(f'`{_shown(name)}`' for name in names)}" for kind, names in kinds if names)
    return where + (f" (prefix `{places.prefix}`)" if places.prefix else "")


def _rows(keys: Iterable[Key]) -> list[tuple[str, ...]]:
    return [(" ".join(f"`{name}`" for name in key.name.split()), key.form, key.meaning) for key in keys]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return f'"{text}"' if " " in text else text


def _shown(name: str) -> str:
    """A name with its control characters written out."""
    return name.encode("unicode_escape").decode("ascii")


if __name__ == "__main__":
    sys.stdout.write(render())
