"""`fleetd completion`: scripts for shells, made from the parsers of the commands."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

from fleetd.cli.commands import COMMANDS, parser_of
from fleetd.cli.parser import Parser
from fleetd.errors import ExitCode


def define(parser: Parser) -> None:
    """The arguments."""
    parser.add_argument("shell", metavar="SHELL", choices=sorted(_SCRIPTS), help="bash, fish or zsh")


def run(args: argparse.Namespace) -> int:
    """Print the completion script of a shell."""
    print(_SCRIPTS[args.shell](), end="")
    return ExitCode.DONE


def _bash() -> str:
    cases = "\n".join(
        f"    {name}) words={_quoted(' '.join(_options(name) + _choices(name)))} ;;" for name in _available()
    )
    return _BASH.format(commands=_quoted(" ".join(_available())), cases=cases)


def _zsh() -> str:
    commands = "\n".join(f"    {_quoted(f'{name}:{COMMANDS[name].summary}')}" for name in _available())
    cases = "\n".join(
        f"    {name}) compadd -- {' '.join(_options(name) + _choices(name))}; [[ $words[CURRENT] == -* ]] || _files ;;"
        for name in _available()
    )
    return _ZSH.format(commands=commands, cases=cases)


def _fish() -> str:
    lines = ["# fish completion of fleetd", "complete -c fleetd -f"]
    for name in _available():
        lines.append(f"complete -c fleetd -n __fish_use_subcommand -a {name} -d {_quoted(COMMANDS[name].summary)}")
        within = f"-n {_quoted(f'__fish_seen_subcommand_from {name}')}"
        lines += [f"complete -c fleetd {within} {_fish_option(each)}" for each in _described(name)]
        lines += [f"complete -c fleetd {within} -a {choice}" for choice in _choices(name)]
    return "\n".join(lines) + "\n"


def _fish_option(option: argparse.Action) -> str:
    names = (f"-l {each[2:]}" if each.startswith("--") else f"-s {each[1:]}" for each in option.option_strings)
    value = "" if option.nargs in {0, "?"} else " -r -F" if option.metavar == "FILE" else " -x"
    return f"{' '.join(names)}{value} -d {_quoted(option.help or '')}"


def _available() -> list[str]:
    return [name for name, command in COMMANDS.items() if command.module]


def _described(name: str) -> list[argparse.Action]:
    return [each for each in parser_of(name).arguments if each.option_strings]


def _options(name: str) -> list[str]:
    return [option for each in _described(name) for option in each.option_strings]


def _choices(name: str) -> list[str]:
    positional = (each for each in parser_of(name).arguments if not each.option_strings)
    return [str(choice) for each in positional for choice in each.choices or ()]


def _quoted(text: str) -> str:
    """In single quotes, which bash, zsh and fish read alike where the text holds none."""
    return "'" + text.replace("'", "") + "'"


_BASH = """\
# bash completion of fleetd
_fleetd() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} words=''
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W {commands}' --help --version' -- "$current"))
    return
  fi
  if [[ $previous == -c || $previous == --config ]]; then
    COMPREPLY=($(compgen -f -- "$current"))
    return
  fi
  case ${{COMP_WORDS[1]}} in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o filenames -F _fleetd fleetd
"""

_ZSH = """\
#compdef fleetd
_fleetd() {{
  local -a commands=(
{commands}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case $words[2] in
{cases}
  esac
}}
compdef _fleetd fleetd
"""

_SCRIPTS: Mapping[str, Callable[[], str]] = {"bash": _bash, "fish": _fish, "zsh": _zsh}
