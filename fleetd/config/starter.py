"""The commented pool file that `fleetd init` writes."""

from __future__ import annotations

import json

from fleetd.config.ports import Framework

_HEAD = """\
# A pool file of fleetd.  Check it with `fleetd check -c FILE`, run it with `fleetd start -c FILE`.
# Every key: docs/reference/pool-file.md, or `fleetd schema`.

[defaults]                # any key of a pool
# user = "www-data"       # whom workers run as (needs root)

[pool.{name}]
framework = {framework}
{command}
directory = "."           # resolved at every start of a worker: a switched symlink is picked up
{queues}
numprocs = 2              # workers on this host
# job-timeout = "15m"     # a job that runs longer is ended; a stop waits 10s more than that
# max-jobs = 1000         # replace a worker after so many jobs
# max-memory = "512MiB"   # replace a worker that has grown larger
"""

_OWN_COMMAND = """\
command = "sleep 3600"    # your worker: words as in a shell (but no shell is asked), or a list of strings"""
_BUILT_COMMAND = '# command = ["…"]         # built by the framework unless you set it'
_OWN_QUEUES = (
    '# queues = ["default"]    # in order of priority: {queues} in the command, FLEETD_QUEUES in the environment'
)
_QUEUES = 'queues = ["default"]      # in order of priority'

_ENV = """
# [pool.{name}.env]
# APP_ENV = "production"  # for the workers; ${{NAME}} in any string is taken from the environment
"""


def starter(framework: Framework, name: str = "default") -> str:
    """A pool file with one pool of the framework, for a person to go on from; it is valid as it is."""
    built = framework.command is not None
    head = _HEAD.format(
        name=name,
        framework=json.dumps(framework.name),
        command=_BUILT_COMMAND if built else _OWN_COMMAND,
        queues=_QUEUES if built else _OWN_QUEUES,
    )
    options = [_option(option, default, framework) for option, default in framework.options.items()]
    table = ["", f"[pool.{name}.options]", *options, ""] if options else []
    return head + "\n".join(table) + _ENV.format(name=name)


def _option(name: str, default: str | None, framework: Framework) -> str:
    """A line for a setting of the framework: commented out where it has no default."""
    line = f'# {name} = ""' if default is None else f"{name} = {json.dumps(default)}"
    meaning = framework.option_meanings.get(name)
    return f"{line:<25} # {meaning}" if meaning else line
