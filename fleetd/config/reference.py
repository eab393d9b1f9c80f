"""docs/reference/pool-file.md, made from the key table so that the two cannot differ."""

from __future__ import annotations

from fleetd.config.durations import format_duration
from fleetd.config.keys import ALERT, AUTOSCALE, BACKOFF, BROKER, DAEMON, FLEET, GIVE_UP, LOG, POOL
from fleetd.config.tables import Key, Later, TableOf
from fleetd.core.alerts import MEANINGS, Meaning, Unit

_INTRODUCTION = """\
# The pool file

<!-- Made by fleetd.config.reference from the table of keys: do not edit. -->

A pool file is TOML. `fleetd check -c FILE` reads it and tells everything that is wrong with it, `fleetd schema` prints
its JSON Schema, `fleetd init` writes one to begin with.

- Keys are kebab-case; the snake_case spelling of each (`max_jobs` for `max-jobs`) is accepted too, never both at once.
- A *duration* is a number of seconds, or text: `"90s"`, `"15m"`, `"1h30m"`, `"250ms"`, `"2d"`.
- A *size* is a number of bytes, or text: `"512MiB"`, `"2GB"`; `"512M"` is `"512MiB"`.
- A *count or share* is a number, or text: `"25%"`.
- A *signal* is a name such as `"TERM"` or `"SIGTERM"`.
- A *name* has a-z, 0-9, `_`, `.` and `-`, begins with a letter or a digit, and has at most 63 characters.
- `${NAME}` and `${NAME:-default}` in any string are taken from the environment when the file is read; the default
  also stands for an empty variable. A variable that is unset and has no default is an error. `$${` is a literal `${`.
  Numbers and booleans may be given so too: `numprocs = "${WORKERS:-2}"`. In a `command` that is one string, the value
  stays one word. What came from the environment is never shown: messages and `fleetd check` print `${NAME}`.
- `{slot}`, `{pool}`, `{host}`, `{queues}` (with commas), `{epoch}` and `{run}` (another one each time) in `command`,
  `env` and `directory` are filled in at every spawn; `{{` is a literal brace.
- Several `-c` files make one configuration, and so do files that are included. Each table may be there once.
"""

_POOL = """\
Identical workers for the same queues. All of these keys may stand in `[defaults]` too, for pools that do not set them;
tables such as `env` are merged key by key."""

_SECTIONS: tuple[tuple[str, str, TableOf], ...] = (
    (
        "`[fleet]`",
        "The fleet that this host is in: [deploying](../deploying.md), [Redis](../redis.md). Without it it runs alone.",
        FLEET,
    ),
    ("`[daemon]`", "The daemon itself.", DAEMON),
    ("`[broker.NAME]`", "A service that holds jobs: [brokers](../brokers.md). A pool picks one with `broker`.", BROKER),
    (
        "`[pool.NAME]`",
        _POOL,
        POOL,
    ),
    ("`backoff`", "In a pool.", BACKOFF),
    ("`give-up`", "In a pool.", GIVE_UP),
    ("`[pool.NAME.log]`", "", LOG),
    ("`[pool.NAME.autoscale]`", "", AUTOSCALE),
    ("`[[alert]]`", "Each has either a `webhook` or a `command`: [alerts](../alerts.md).", ALERT),
)

_INCLUDE = """\
## `include`

`include = ["pools.d/*.toml"]` at the top of a file takes in further files, by paths or patterns relative to that file.
A path without a pattern must exist; a file that includes itself, or is taken in twice, is an error.
"""

_FRAMEWORK = """\
## `[framework.NAME]`

A framework beside the shipped ones, with the keys of a framework file.
"""

_LATER = {
    Later.DONE: "",
    Later.REFUSED: " *Not yet in this version: `fleetd start` refuses it.*",
}


def reference() -> str:
    """The page, as Markdown."""
    parts = [_INTRODUCTION, _INCLUDE]
    for title, about, table in _SECTIONS:
        rows = [_row(key) for key in table.keys]
        head = ["| key | value | default | meaning | on reload |", "|---|---|---|---|---|"]
        parts.append("\n".join([f"## {title}", "", *((about, "") if about else ()), *head, *rows, ""]))
    parts += [_words(), _FRAMEWORK]
    return "\n".join(parts)


def _words() -> str:
    """The table of what alerts can be on."""
    head = [
        "### Words of `on`",
        "",
        "| word, and what one incident is about | it opens | it is over | `above` | `for` |",
    ]
    rows = [_word(meaning) for meaning in MEANINGS.values()]
    return "\n".join([*head, "|---|---|---|---|---|", *rows, ""])


def _word(meaning: Meaning) -> str:
    above = meaning.figure and f"{meaning.figure}: {_threshold(meaning)}"
    lasting = format_duration(meaning.lasting) if meaning.lasting else "0"
    return f"| `{meaning.word}`: {meaning.about} | {meaning.opens} | {meaning.over} | {above} | {lasting} |"


def _threshold(meaning: Meaning) -> str:
    match meaning.above.unit:
        case Unit.SHARE:
            return f'"{meaning.above.value:.0%}"'
        case Unit.SECONDS:
            return f'"{format_duration(meaning.above.value)}"'
        case Unit.COUNT:
            return f"{meaning.above.value:g}"


def _row(key: Key) -> str:
    meaning = f"{key.meaning}{_later(key)}"
    default = "required" if key.required else key.default
    cells = (f"`{key.name}`", key.kind.noun, default, meaning, str(key.apply))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _later(key: Key) -> str:
    done = [f'`"{value}"`' for value in key.harmless if isinstance(value, str)]
    if key.later is Later.REFUSED and len(done) > 1:
        return f" *This version has {' and '.join(done)}.*"
    return _LATER[key.later]
