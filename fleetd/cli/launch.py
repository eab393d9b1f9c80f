"""Becoming the daemon: the one place where configuration, directories, lock and loop are put together."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from fleetd import tls
from fleetd.cli import start_view
from fleetd.cli.configuration import accepted
from fleetd.cli.finding import named_by
from fleetd.cli.last_words import last_words
from fleetd.cli.waiting import carry_out
from fleetd.client.control import ControlClient, HungUpError
from fleetd.config.accepted import Accepted
from fleetd.core.spec import FleetSpec
from fleetd.errors import ExitCode, FleetdError
from fleetd.shell import handover, locks, paths
from fleetd.shell.handover import Tenure
from fleetd.shell.keeper_link import KeeperLink
from fleetd.shell.locks import Locks
from fleetd.views.fleet_trouble import fleet_trouble


def run_daemon(args: argparse.Namespace) -> int:
    """Run the daemon of the files in `args` until it is stopped, or detach it and wait until all is healthy.

    Raises UsageError with every problem of the files, FleetdError when the instance runs already.
    """
    before = handover.received()
    name = paths.instance_name(args.files, args.instance)
    load = partial(accepted, args.files, name)
    files = load()
    _warn(files)
    places = paths.instance(name, files.spec.daemon)
    paths.prepare(places, files.spec.daemon.socket_group)
    run = partial(_run, load, files.spec, places)
    if before is not None:
        return run(before.tenure(places))
    if args.view:
        start_view.check()
    taken = locks.take(places)
    if not args.detach and not args.view:
        taken.write_down(places)
        _say_how_it_ends()
        return run(Tenure(taken))
    child = _detach(
        taken, places, lambda says_so: run(Tenure(taken, detached=True, listening=says_so)), stays_child=args.view
    )
    return start_view.run(places, child) if args.view else _until_healthy(args, places)


def _say_how_it_ends() -> None:
    """To someone who looks on."""
    if sys.stderr.isatty():
        print(
            "fleetd start: Ctrl-C drains: jobs in hand finish, then it ends; a second one ends it now", file=sys.stderr
        )


def _run(load: Callable[[], Accepted], spec: FleetSpec, places: paths.Instance, tenure: Tenure) -> int:
    try:
        keeper = KeeperLink.reach(places.keeper, places.name)
    except OSError as error:
        raise FleetdError(f"the keeper cannot be started: {error.strerror}: {places.keeper}") from error
    if spec.member is None:
        tls.import_asyncio_without()
    from fleetd.shell import daemon  # noqa: PLC0415 - while this is imported, the keeper starts

    try:
        return daemon.run(load, spec, places, keeper, tenure)
    except FleetdError:  # it has not begun
        keeper.dismiss()
        raise


def _warn(files: Accepted) -> None:
    for warning in files.warnings:
        print(f"fleetd start: {warning}", file=sys.stderr)
    _warn_of_unit(files.spec)


def _warn_of_unit(spec: FleetSpec) -> None:
    """What is wrong with the unit of systemd that this process is started by."""
    if "SYSTEMD_EXEC_PID" not in os.environ:
        return
    from fleetd.systemd.stop_time import too_short  # noqa: PLC0415 - elsewhere it is not needed

    if (warning := too_short(spec)) is not None:
        print(f"fleetd start: warning: {warning}", file=sys.stderr)


def _detach(taken: Locks, places: paths.Instance, run: Callable[[int], int], *, stays_child: bool) -> int:
    """Run the daemon in a process of its own, and return once it takes commands; answers the pid of the child.

    One that stays this process's child drains when that ends, however it does.
    The daemon writes a byte to the descriptor that it is given when its control socket listens.  Raises FleetdError
    with its last lines when it ends before that.
    """
    log = os.open(places.daemon_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    told_before = os.fstat(log).st_size
    listening, says_so = os.pipe()
    sys.stdout.flush()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.setsid()
        if stays_child:
            start_view.end_with(parent)
        elif os.fork():  # the daemon must not lead the session, or it could get a terminal
            os._exit(0)
        os.close(listening)
        _become(log)
        taken.write_down(places)
        sys.exit(run(says_so))
    os.close(says_so)
    taken.close()
    if not stays_child:
        os.waitpid(child, 0)
    lives = os.read(listening, 1)
    os.close(listening)
    if not lives:
        raise FleetdError(f"the daemon ended before it took commands: {last_words(places.daemon_log, told_before)}")
    return child


def _become(log: int) -> None:
    """Standard input from nowhere, output to the log."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, target)
    os.close(nothing)
    os.close(log)


def _runs_on(client: ControlClient) -> bool:
    with suppress(FleetdError):
        return bool(client.ask("status")["state"] == "running")
    return False


def _until_healthy(args: argparse.Namespace, places: paths.Instance) -> int:
    client = ControlClient(places.name, places.control)
    told_before = places.daemon_log.stat().st_size
    request = {"targets": [], "wait": not args.no_wait}
    try:
        carry_out(client, "start", request, title=f"start {places.name}", timeout=args.timeout)
    except HungUpError:
        raise FleetdError(f"the daemon ended: {last_words(places.daemon_log, told_before)}") from None
    except FleetdError as error:
        if error.exit_code in {ExitCode.FAILED, ExitCode.TIMED_OUT} and _runs_on(client):
            named = named_by(args)
            runs_on = f"the daemon runs on: `fleetd status {named}` shows it, `fleetd stop {named}` ends it"
            raise type(error)(f"{error}\n{runs_on}") from None
        raise
    trouble = fleet_trouble(client.ask("status")["fleet"])
    if trouble is not None:
        print(f"fleetd start: warning: {trouble}", file=sys.stderr)
    return ExitCode.DONE
