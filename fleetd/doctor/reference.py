"""docs/doctor.md, made from the rules."""

from __future__ import annotations

from collections.abc import Iterable

from fleetd.doctor import brokers, frameworks, host, places, redis, timeouts, workers
from fleetd.doctor.report import Rule

_HEAD = """\
# fleetd doctor

<!-- Generated: make docs -->

`fleetd check` reads the pool files and nothing else. `fleetd doctor -c FILE` finds what `check` finds, and then looks
at the host, the Redis of the fleet, the brokers and the installed frameworks. Run it on each host, as the user who runs
the daemon: what it says is true of that host and user.

```
$ sudo fleetd doctor -c /etc/fleetd/media.toml
host
  ok: 524288 files may be open here, and these pools need 88
  …
broker default
  ok: redis://queue.internal:6379/1 answers
  error: maxmemory-policy allkeys-lru with maxmemory 512.0M
      why: when memory is full, Redis removes keys without a word: queues with their jobs, restart epochs, leases
      remedy: maxmemory-policy noeviction in redis.conf (CONFIG SET, then CONFIG REWRITE)
      line: /etc/fleetd/media.toml:9: broker.default.url
```

| verdict | means | exit code |
| --- | --- | --- |
| `ok` | looked at, and nothing is wrong | 0 |
| `not known` | it could not be looked at: what is not allowed is not guessed (`CONFIG` of a managed Redis) | 0 |
| `warning` | it works, but perhaps not as meant | 0 |
| `error` | it cannot work as meant | 1 |
| `out of reach` | a broker, or the fleet's Redis, does not answer; all else is looked at | 4 |

Invalid pool files: exit 2, and nothing is looked at. `--json` prints one document: `schema` (1), `valid`, `files`,
`problems`, `findings` (each with `subject`, `check`, `severity`: `warning`, `error` or `unreachable`, `where`: `file`,
`line` and `key`, `what`, `why`, `remedy`), `unknown` and `passed` (`subject`, `check`, `what`).

What it does: it starts no worker, changes nothing in Redis, and makes nothing but a cgroup of its own, which it
removes. For each pool a child takes the worker's user, enters its directory, reads its `env-file` and looks for its
program, by the code that starts workers. The *probes* of a [framework](reference/frameworks.md), such as
`php artisan --version`, run in the same way, for at most 10 s each; not for a pool with a `command` of its own. Redis
is asked `INFO`, `CONFIG GET save`, `TIME`, and `SCAN` of about 1,000 keys at most; of a Cluster one node is asked. Of
these the users of [redis.md](redis.md) may do `TIME` only: what that leaves open is `not known`.

A daemon under systemd has another environment than a shell. Limits are those of the installed unit, where there is one;
`PATH` and all other variables are the shell's.
"""


def render() -> str:
    """The whole page."""
    sections = (
        ("The host", (*host.RULES, *places.RULES)),
        ("Redis: the fleet's, and brokers", redis.RULES),
        ("RabbitMQ and SQS", brokers.RULES),
        ("The pools' workers", workers.RULES),
        ("The installed frameworks", frameworks.RULES),
        ("Timeouts that others keep", timeouts.RULES),
    )
    return "\n".join([_HEAD, *(_section(title, rules) for title, rules in sections)])


def _section(title: str, rules: Iterable[Rule]) -> str:
    parts = [f"## {title}\n"]
    for rule in rules:
        parts += [f"### {rule.name}\n", f"- Looks at: {rule.looks_at}.", f"- Why it hurts: {rule.why}."]
        parts.append(f"- Remedy: {rule.remedy}.\n")
    return "\n".join(parts)
