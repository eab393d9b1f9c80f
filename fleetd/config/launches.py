"""A pool's Launch: its command line from the pool or the framework, its environment, and the same texts for display."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from fleetd.config.broker_url import is_for_workers, kind_of
from fleetd.config.interpolation import Text
from fleetd.config.placeholders import check_placeholders
from fleetd.config.ports import Framework
from fleetd.config.problems import Unfit
from fleetd.config.reader import Reader
from fleetd.config.suggestions import nearest
from fleetd.config.tree import Node
from fleetd.core.spec import Launch

Option = Text | int | bool

# Stands for "${" while a text that is only shown goes through a framework's templates, where braces mean something.
_MASK = "\ue000"


class OwnFramework(Struct, frozen=True):
    """A framework, and the same with `${NAME}` left as written and masked (another only for one from a pool file)."""

    framework: Framework
    shown: Framework


def masked(shown: str) -> str:
    """A text as written, safe to be put through templates."""
    return shown.replace("${", _MASK)


def build_launch(
    node: Node, values: Mapping[str, Any], own: OwnFramework, broker_url: str | None, reader: Reader
) -> Launch:
    """What starts a worker of the pool; a command that there is not, or that uses unknown names, is noted."""
    command, shown = _command(node, values, own, reader)
    directory: Text | None = values.get("directory")
    env_file: Text | None = values.get("env-file")
    python: Text | None = values.get("python")
    queues: tuple[Text, ...] = values.get("queues", ())
    return Launch(
        command=command,
        shown_command=shown,
        directory=directory.template if directory else None,
        user=values.get("user"),
        group=values.get("group"),
        umask=values.get("umask"),
        env=_environment(values, own.framework, broker_url),
        env_file=env_file.value if env_file else None,
        nice=values.get("nice"),
        cpu_affinity=values.get("cpu-affinity", ()),
        limits=values.get("limits", ()),
        queues=tuple(queue.value for queue in queues),
        max_jobs=values.get("max-jobs"),
        job_timeout=values.get("job-timeout"),
        watchdog=values.get("watchdog"),
        preload=values.get("preload", ()),
        entry=values.get("entry"),
        python=python.value if python else None,
    )


def _environment(values: Mapping[str, Any], framework: Framework, broker_url: str | None) -> Mapping[str, str]:
    """The pool's variables over the broker's URL over the framework's."""
    env = dict(framework.env)
    if framework.broker_env and broker_url and _knows(framework, broker_url):
        env[framework.broker_env] = broker_url.replace("{", "{{")
    own: Mapping[str, Text] = values.get("env", {})
    return MappingProxyType(env | {name: text.template for name, text in own.items()})


def _knows(framework: Framework, broker_url: str) -> bool:
    """Whether the framework's workers can use the URL; one that says nothing of brokers is believed to."""
    kinds = framework.broker_kinds
    return is_for_workers(broker_url) and (not kinds or kind_of(broker_url) in kinds)


def _command(node: Node, values: Mapping[str, Any], own: OwnFramework, reader: Reader) -> tuple[tuple[str, ...], ...]:
    options = _options(node, values.get("options", {}), own.framework, reader)
    given: tuple[Text, ...] | None = values.get("command")
    if given is not None:
        return tuple(text.template for text in given), tuple(text.shown for text in given)
    if "entry" in values:
        return (), _by_hand(values)
    if own.framework.command is None:
        if "entry" not in node.value and "command" not in node.value:
            reader.problem(
                node,
                f"the framework {own.framework.name} builds no command line",
                "add a command, or choose another framework",
            )
        return (), ()
    command = _command_line(
        own.framework, values, {name: _template(each) for name, each in options.items()}, shown=False
    )
    shown = _command_line(own.shown, values, {name: _masked(each) for name, each in options.items()}, shown=True)
    try:
        for argument in command:
            check_placeholders(argument)
    except Unfit as unfit:
        place = node.within("options") if options else node
        reader.problem(place, f"the command line has an {unfit.message}", unfit.remedy)
    if not command:
        reader.problem(node, f"the framework {own.framework.name} gives an empty command line", "set its options")
    return command, tuple(argument.replace(_MASK, "${") for argument in shown)


def _by_hand(values: Mapping[str, Any]) -> tuple[str, ...]:
    """A command that does what an entry pool's workers do, for people."""
    python: Text | None = values.get("python")
    module, _, function = values["entry"].partition(":")
    return (python.shown if python else "python3", "-c", f"import sys, {module}; sys.exit({module}.{function}())")


def _command_line(
    framework: Framework, values: Mapping[str, Any], options: Mapping[str, str | int | bool], *, shown: bool
) -> tuple[str, ...]:
    queues: tuple[Text, ...] = values.get("queues", ())
    return framework.command_line(
        queues=tuple(masked(queue.shown) if shown else queue.value for queue in queues),
        max_jobs=None if has_jitter(values, "max-jobs") else values.get("max-jobs"),
        job_timeout=values.get("job-timeout"),
        max_memory=None if has_jitter(values, "max-memory") else values.get("max-memory"),
        max_lifetime=None if has_jitter(values, "max-lifetime") else values.get("max-lifetime"),
        options=options,
    )


def has_jitter(values: Mapping[str, Any], limit: str) -> bool:
    """Whether a limit is drawn anew for each run: a framework's flag cannot say that, so fleetd keeps it itself."""
    return bool(values.get(f"{limit}-jitter"))


def _options(node: Node, given: Mapping[str, Option], framework: Framework, reader: Reader) -> Mapping[str, Option]:
    """The options by the framework's spelling; unknown ones are noted."""
    known = {name.replace("_", "-"): name for name in framework.options}
    found: dict[str, Option] = {}
    for written, value in given.items():
        name = known.get(written.replace("_", "-"))
        place = node.within("options", written)
        if name is None:
            near = nearest(written, known)
            hint = f"did you mean {near}?" if near else _known_options(framework)
            reader.problem(place, f"the framework {framework.name} has no such option", hint)
        elif name in found:
            reader.problem(place, "the same option is given twice", f"keep {name}")
        else:
            found[name] = value
    return found


def _known_options(framework: Framework) -> str:
    return f"it has {', '.join(sorted(framework.options))}" if framework.options else "it has none"


def _template(option: Option) -> str | int | bool:
    return option.template if isinstance(option, Text) else option


def _masked(option: Option) -> str | int | bool:
    return masked(option.shown) if isinstance(option, Text) else option
