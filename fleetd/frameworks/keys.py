"""The keys of a framework file: what the loader accepts, and what the reference lists."""

from __future__ import annotations

from msgspec import Struct


class Key(Struct, frozen=True):
    """A key: the form of its value, and its meaning in a sentence."""

    name: str
    form: str
    meaning: str


ENFORCEABLE = ("max-jobs", "job-timeout", "max-memory", "max-lifetime")
EXIT_REASONS = ("exit", "max-jobs", "max-memory", "max-lifetime", "job-timeout", "restart", "stop")
BROKERS = ("redis", "amqp", "sqs", "sql")
PROBE_MEANINGS = ("version", "extension", "retry-after")

TOP_KEYS = (
    Key("about", "text", "One line for people."),
    Key(
        "command",
        "list of arguments",
        "Templates of the command line; without it each pool gives a `command`. An argument in which a placeholder has "
        "no value is dropped; a list in the list is a group, dropped as a whole.",
    ),
    Key("drain-signal", "signal name", "Ends the worker once its job in hand is done."),
    Key("pause-signal", "signal name", "Makes the worker take no new job; of use only together with `resume-signal`."),
    Key("resume-signal", "signal name", "Ends the pause."),
    Key("exit-codes", "list of numbers", "Planned exits, replaced at once; only 0 if not given."),
    Key("exit-reasons", "table: code = reason", f"What an exit code tells: one of {', '.join(EXIT_REASONS)}."),
    Key("stop-timeout", "duration", "How long a drain may take where the pool says nothing (`10s` if not given)."),
    Key(
        "shutdown-timeout",
        "duration",
        "After how long a drain its workers give back what is not done, where the application alone can change it: "
        "`fleetd check` warns of a longer `job-timeout`, unless the pool says `stop-timeout`.",
    ),
    Key(
        "jobs-at-once",
        "number",
        "Jobs that a worker has in hand at most; 1: a second start means the first was released.",
    ),
    Key(
        "queues-by-name",
        "true or false",
        "Whether a line that tells of a start names the queue as the pool does, of which it works no other: a start in "
        "another queue is a line that the application wrote, and does not count.",
    ),
    Key("enforces", "list", f"Limits that its own flags enforce, of {', '.join(ENFORCEABLE)}."),
    Key("env", "table", "Environment of its workers, under the pool's own."),
    Key("broker-env", "text", "The variable from which its workers read the broker's URL."),
    Key("python", "true or false", "Whether the command is a Python program, which `preload` can load beforehand."),
    Key(
        "may-be-silent",
        "true or false",
        "Whether its lines come only where the application is set up for them: until a worker tells of a job, nothing "
        "is known of its jobs, rather than that there were none; and nobody waits for its ready line, unless a pool "
        'says `ready = "line"`.',
    ),
    Key("options", "table of tables", "The framework's own settings, which a pool sets in `options`."),
    Key("patterns", "array of tables", "The lines of its output that mean something."),
    Key("brokers", "table of tables", f"Where queues stand, by kind of broker: {', '.join(BROKERS)}."),
    Key("probes", "array of tables", "Commands that tell `fleetd doctor` what the installed framework is and does."),
)
OPTION_KEYS = (
    Key("default", "text", "Its value where a pool does not set it; without it the option is unset."),
    Key("about", "text", "One line for people."),
)
PATTERN_KEYS = (
    Key(
        "meaning",
        "word",
        "`ready`, `started`, `done`, `failed`, `released` or `unheard` (the drain signal was lost: it is sent again).",
    ),
    Key("literal", "text", "Looked for first; only lines that hold it are matched. As rare as possible, not empty."),
    Key(
        "regex",
        "regular expression",
        "Searched in the first 4 KiB of the line, without colours, with the groups `id`, `name`, `queue`, `runtime` "
        "and `enqueued_at` (Unix seconds or ISO 8601), of which each may be left out; the first pattern of the file "
        "that matches counts. No nested quantifiers; one that takes quadratic time sees the first 1 KiB.",
    ),
)
PLACE_KEYS = (
    Key(
        "ready",
        "list of names",
        "Lists of jobs that wait; `{prefix}` and `{queue}` are filled in. Required. In SQL each name is a query that "
        "answers one number, with `{prefix}` for that of the tables, `:queue`, `:now` (Unix seconds) and `:utcnow`.",
    ),
    Key("delayed", "list of names", "Where jobs stand that are not due yet."),
    Key("reserved", "list of names", "Where jobs in hand stand."),
    Key("prefix", "text", "Stands for `{prefix}` where the pool's broker sets none."),
    Key("due-unit", "number", "What one second is in a delayed job's score (1)."),
    Key(
        "oldest",
        "`first` or `last`",
        "Where the oldest job stands in the first list of `ready`; in SQL a query that answers its enqueue time.",
    ),
    Key(
        "enqueued-at",
        "list of names",
        "Fields of the job that hold its enqueue time: seconds, milliseconds or ISO 8601.",
    ),
    Key("record", "name", "The hash of a job, where the list holds ids only; `{job}` is the id."),
    Key("record-field", "name", "The field of that hash that holds the job's JSON."),
    Key("events", "table", "A stream that tells what becomes of the queue's jobs, whoever works on them; Redis only."),
)
EVENT_KEYS = (
    Key("stream", "name", "The Redis stream; `{prefix}` and `{queue}` are filled in. Required."),
    Key("what", "name", "The field of an entry that says what happened. Required."),
    Key("job", "name", "The field that has the job's id. Required."),
    Key("started", "list of words", "What says that a job was begun."),
    Key("done", "list of words", "What says that it was done."),
    Key("failed", "list of words", "What says that it failed."),
    Key("released", "list of words", "What says that it was given back."),
)
PROBE_KEYS = (
    Key(
        "means",
        "word",
        "`version`: a pool cannot work if the command fails, or no line matches. `extension`: something that has to be "
        "there; no line that matches means that it is missing. `retry-after`: the seconds after which the broker gives "
        "a job in hand to another worker.",
    ),
    Key("about", "text", "What is asked for, for people."),
    Key(
        "command",
        "list of arguments",
        "As the framework's own `command`. Run by `fleetd doctor` alone, as the pool's user, in its directory and with "
        "its environment, for at most 10 s; not for a pool with a command of its own.",
    ),
    Key("regex", "regular expression", "Searched in each line of standard output; the group `value` has the answer."),
    Key("only-with", "text", "The answer counts only if the output has this in it."),
    Key("default", "duration", "For `retry-after`: what holds where no line matches."),
    Key("against", "duration", "For `retry-after`: the longest job where the pool sets no `job-timeout`."),
    Key("minimum", "version", "For `version`: the oldest that this file is for."),
    Key("options", "table: option = version", "For `version`: options that came with a later one."),
    Key("without", "text", "For `extension`: what happens without it."),
    Key("remedy", "text", "What to do if it is missing, too old or too short."),
)
PLACEHOLDERS = (
    Key("{queues}", "one argument", "The pool's queues, joined by commas."),
    Key("{queues...}", "several arguments", "The pool's queues."),
    Key("{queue}", "repeats", "The argument, or the group it stands in, once for each queue."),
    Key("{max-jobs}", "number", "`max-jobs` of the pool."),
    Key("{job-timeout}", "seconds", "`job-timeout`, rounded up; `{job-timeout-ms}` in milliseconds."),
    Key("{max-lifetime}", "seconds", "`max-lifetime`, rounded up."),
    Key("{max-memory}", "bytes", "`max-memory`; `{max-memory-kib}` and `{max-memory-mib}` in KiB and MiB."),
    Key("{options.NAME}", "text", "An option; true expands to nothing, false and the empty text count as unset."),
    Key("{options.NAME...}", "several arguments", "An option, split as a shell splits words."),
    Key("{slot} {pool} {host} {epoch} {run}", "text", "Filled in at each start; the run is another one each time."),
)
