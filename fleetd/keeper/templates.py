"""All templates of preloaded workers: which there are, who waits for which, when one goes.

A template serves one pool at one generation in one directory, for one way of starting workers.  Births wait in it while
it imports.  It stays while a worker of its lives, so that slots that keep their release are filled again from what was
in memory then; without workers it goes after a while, sooner where a newer one serves the pool.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import time
from collections.abc import Callable, Container
from typing import Any

from fleetd.keeper.births import Births
from fleetd.keeper.failure import StartError
from fleetd.keeper.run import Run
from fleetd.keeper.template import IN_FLIGHT, LONGEST, TEMPLATE_ONLY, Birth, Template

NEWEST_SPARE = 300.0  # seconds that a pool's newest template stays without workers: longer than the longest backoff
OLDER_SPARE = 10.0
TEMPLATES_TRIED = 2
TRIES = 5  # in all: one that is ending may be asked more than once before that is known
RETRY_SECONDS = 0.05  # between two requests to a template that takes none and has none in hand

Json = dict[str, Any]


class Templates:
    """The templates of an instance.  A birth is answered by `born(run)` or `failed(run, error)`."""

    def __init__(
        self,
        births: Births,
        poll: select.poll,
        known: Container[int],
        born: Callable[[Run], None],
        failed: Callable[[Run, Json], None],
        report: Callable[[Json], None],
    ) -> None:
        self._births = births
        self._poll = poll
        self._known = known  # pids of runs
        self._born = born
        self._failed = failed
        self._report = report
        self._by_key: dict[str, Template] = {}
        self._processes: dict[int, Template] = {}  # those that are being ended, too
        self._of_worker: dict[int, Template] = {}
        self._asked: dict[str, Birth] = {}  # by run
        self._watched: dict[int, Callable[[], None]] = {}

    def __contains__(self, run: str) -> bool:
        """Whether a run is to be born."""
        return run in self._asked

    def handle(self, descriptor: int) -> bool:
        """Take what has arrived; whether the descriptor is one of ours."""
        action = self._watched.get(descriptor)
        if action is not None:
            action()
        return action is not None

    # -- asking ------------------------------------------------------------------------------------------------------

    def ask(self, run: Run, request: Json) -> None:
        """Have a run forked from its template, which is started where there is none."""
        birth = self._asked[run.run] = Birth(run, request)
        self._queue(birth)

    def cancel(self) -> None:
        """Forget who waits: the daemon that asked is gone, and the next one asks by itself."""
        for birth in tuple(self._asked.values()):
            self._drop(birth)
            birth.close()
        for template in self._processes.values():
            template.waiting.clear()
            self._look_after(template)

    def _queue(self, birth: Birth) -> None:
        request = birth.request
        try:
            directory = os.path.realpath(request["directory"])
            key = key_of(request, directory)
            template = self._by_key.get(key)
            if template is not None and template.ready and template.has_leaked():
                grown = {"before": template.rss, "rss": template.resident()}
                self._tell(template, "leaked", grown)
                self._retire(template)
                template = None
            template = template or self._start(key, request, directory)
        except StartError as error:
            self._fail(birth, error.report)
            return
        template.timeout = request["preload"]["timeout"]
        if not template.waiting:
            template.held_up_since = None
        template.waiting.append(birth)
        self._serve(template)

    def _start(self, key: str, request: Json, directory: str) -> Template:
        template = Template(key, request, directory)
        try:
            template.begin(self._births, request)
        except StartError:
            template.close()
            raise
        assert template.socket is not None
        self._by_key[key] = self._processes[template.pid] = template
        self._watch(template.socket.fileno(), lambda: self._hear(template))
        if template.answers is not None:
            self._watch(template.answers, lambda: self._learn(template))
        return template

    def _serve(self, template: Template) -> None:
        """Ask for as many as may be in flight."""
        while template.ready and template.waiting and len(template.in_flight) < IN_FLIGHT and not template.is_unwanted:
            birth = template.waiting.popleft()
            try:
                is_asked = template.ask(birth)
            except StartError as error:
                self._fail(birth, error.report)
                continue
            if not is_asked:
                template.waiting.appendleft(birth)
                template.hold_up(RETRY_SECONDS)
                return
            template.held_up_since = None
            assert birth.hello is not None
            self._watch(birth.hello.fileno(), lambda birth=birth: self._greet(template, birth))  # type: ignore[misc]

    # -- births ------------------------------------------------------------------------------------------------------

    def _greet(self, template: Template, birth: Birth) -> None:
        """The worker has said hello, or there will be none."""
        assert birth.hello is not None
        try:
            pid = birth.hear()
            if pid is None:
                return
            hello = birth.hello.fileno()
            birth.hold(pid, taken=pid in self._known or pid in self._processes)
        except EOFError:
            self._drop(birth)
            self._try_again(birth, template)
        else:
            self._unwatch(hello)
            self._asked.pop(birth.run.run, None)
            template.in_flight.discard(birth)
            template.workers += 1
            self._of_worker[pid] = template
            self._born(birth.run)
        self._serve(template)
        self._look_after(template)

    def _try_again(self, birth: Birth, template: Template) -> None:
        refusal = birth.refusal()
        birth.close()
        birth.lost_by.append(template.pid)
        in_vain = len(set(birth.lost_by)) >= TEMPLATES_TRIED or len(birth.lost_by) >= TRIES
        if refusal is not None or in_vain:
            self._fail(birth, refusal or failure_of(birth, "the template ended, or the worker before it began"))
        else:
            self._asked[birth.run.run] = birth
            self._queue(birth)

    def _fail(self, birth: Birth, error: Json) -> None:
        self._drop(birth)
        birth.close()
        self._failed(birth.run, error)

    def _drop(self, birth: Birth) -> None:
        self._asked.pop(birth.run.run, None)
        if birth.hello is not None:
            self._unwatch(birth.hello.fileno())
        for template in self._processes.values():
            template.in_flight.discard(birth)

    # -- templates ---------------------------------------------------------------------------------------------------

    def _learn(self, template: Template) -> None:
        """Its forked process says why it could not become the template, or that it has."""
        assert template.answers is not None
        try:
            told = os.read(template.answers, 65536)
        except BlockingIOError:
            return
        for line in told.splitlines():
            answer: Json = json.loads(line)
            if "stage" in answer:
                template.failure = answer
        if not told:
            self._stop_learning(template)

    def _stop_learning(self, template: Template) -> None:
        if template.answers is not None:
            self._unwatch(template.answers)
            os.close(template.answers)
            template.answers = None

    def _hear(self, template: Template) -> None:
        """Whether it is ready; that it has hung up is known by its end."""
        try:
            reports = template.reports()
        except EOFError as end:
            (reports,) = end.args
            if template.socket is not None:
                self._unwatch(template.socket.fileno())
            template.hang_up()
        for report in reports:
            try:
                if "failed" in report:
                    what, problem = (str(report["failed"][name])[:LONGEST] for name in ("what", "problem"))
                    template.failure = {"stage": "preload", "what": what, "line": None, "problem": problem}
                elif "ready" in report and not template.ready:
                    threads = int(report["ready"]["threads"])
                    self._become_ready(template, threads)
            except (KeyError, TypeError, ValueError):
                continue

    def _become_ready(self, template: Template, threads: int) -> None:
        template.ready = True
        template.rss = template.resident()
        seconds = round(time.monotonic() - template.began_at, 3)
        told = {"directory": template.directory, "rss": template.rss, "seconds": seconds, "threads": threads}
        self._tell(template, "ready", told)
        self._serve(template)
        self._look_after(template)

    def _tell(self, template: Template, what: str, fields: Json) -> None:
        self._report({"event": "template", "what": what, "pool": template.pool, "pid": template.pid, **fields})

    def _retire(self, template: Template) -> None:
        """It gives birth to nobody else, and ends once those are born that it was asked for."""
        if self._by_key.get(template.key) is template:
            del self._by_key[template.key]
        template.is_unwanted = True
        self._look_after(template)

    def _look_after(self, template: Template) -> None:
        """Begin to count the time without work; end what is retired."""
        if template.workers == 0 and not template.waiting and not template.in_flight:
            template.idle_since = time.monotonic()
        if template.is_unwanted and not template.in_flight:
            template.kill()

    # -- ends --------------------------------------------------------------------------------------------------------

    def reaped(self, pid: int, status: int) -> None:
        """A child of the keeper has ended, whoever it was."""
        template = self._of_worker.pop(pid, None)
        if template is not None:
            template.workers -= 1
            self._look_after(template)
        template = self._processes.pop(pid, None)
        if template is not None:
            self._bury(template, status)

    def _bury(self, template: Template, status: int) -> None:
        with contextlib.suppress(OSError):  # what the imports started; workers have sessions of their own
            os.killpg(template.pid, signal.SIGKILL)
        if template.answers is not None:
            self._learn(template)
            self._stop_learning(template)
        if template.socket is not None:
            self._hear(template)
            self._unwatch(template.socket.fileno())
        if self._by_key.get(template.key) is template:
            del self._by_key[template.key]
        if template.ready and not template.is_unwanted:
            self._tell(template, "ended", {"how": how_it_ended(status)})
        waiting = tuple(template.waiting)
        template.waiting.clear()
        for birth in waiting:
            if template.ready:
                self._queue(birth)
            else:
                last = template.last_line()
                text = f"the template ended while it was importing: {how_it_ended(status)}{last and '; ' + last}"
                self._fail(birth, template.failure or failure_of(birth, text))
        template.close()

    def end(self) -> None:
        """End all templates, and wait until they are gone."""
        for template in self._processes.values():
            template.kill()
        for pid, template in self._processes.items():
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
            template.close()
        self._processes.clear()

    # -- time --------------------------------------------------------------------------------------------------------

    def due_in(self) -> float | None:
        """Seconds until something is due; None: nothing is, as where templates only stand by for their workers."""
        now = time.monotonic()
        dues = [due for template in self._processes.values() if (due := self._due(template)) is not None]
        return max(0.0, min(dues) - now) if dues else None

    def _due(self, template: Template) -> float | None:
        if template.in_flight:
            return min(birth.asked_at for birth in template.in_flight) + template.timeout
        if template.is_unwanted:
            return None
        if not template.ready:
            return template.began_at + template.timeout
        if template.waiting:
            return template.retry_at  # nothing is in flight whose end would be heard
        if template.workers:
            return None
        return template.idle_since + (NEWEST_SPARE if self._is_newest(template) else OLDER_SPARE)

    def _is_newest(self, template: Template) -> bool:
        rivals = (other for other in self._by_key.values() if other.pool == template.pool)
        return all((other.generation, other.began_at) <= (template.generation, template.began_at) for other in rivals)

    def on_time(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        for template in tuple(self._processes.values()):
            due = self._due(template)
            if due is None or now < due:
                continue
            limit = f"within {template.timeout:g} s (start-timeout)"
            if template.is_held_up():
                self._ask_again(template, limit)
                continue
            if not template.ready:
                last = template.last_line()
                problem = f"was not imported {limit}{last and '; its last line: ' + last}"
                template.failure = {"stage": "preload", "what": "preload", "line": None, "problem": problem}
                template.failure["what"] = f"preload for pool {template.pool}"
            for birth in tuple(template.in_flight):
                if now >= birth.asked_at + template.timeout:
                    self._fail(birth, failure_of(birth, f"no worker began {limit}"))
            if self._by_key.get(template.key) is template:
                del self._by_key[template.key]
            template.kill()

    def _ask_again(self, template: Template, limit: str) -> None:
        """Those who wait do so no longer than for a worker; the template stays, as what is in its way is elsewhere."""
        since = template.held_up_since
        if since is not None and time.monotonic() >= since + template.timeout:
            waiting = tuple(template.waiting)
            template.waiting.clear()
            for birth in waiting:
                self._fail(birth, failure_of(birth, f"no worker could be asked for {limit}"))
        self._serve(template)
        self._look_after(template)

    # -- descriptors -------------------------------------------------------------------------------------------------

    def _watch(self, descriptor: int, action: Callable[[], None]) -> None:
        self._watched[descriptor] = action
        self._poll.register(descriptor, select.POLLIN)

    def _unwatch(self, descriptor: int) -> None:
        if self._watched.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)


def key_of(request: Json, directory: str) -> str:
    """What makes a template the right one: all that it is started with.

    Raises:
        StartError: the request is none for a template.

    """
    preload = request["preload"]
    try:
        own = frozenset(preload["own"])
        env = {name: value for name, value in request["env"].items() if name not in own}
        program = [preload[name] for name in ("pool", "generation", "python", "modules", "run")]
        return json.dumps([program, directory, env, *(request.get(name) for name in TEMPLATE_ONLY)], sort_keys=True)
    except (KeyError, TypeError, AttributeError) as error:
        raise StartError("start", errno.EINVAL, f"{error!r}") from error


def failure_of(birth: Birth, problem: str) -> Json:
    """An error of the stage `preload`, about what is to be preloaded."""
    preload = birth.request["preload"]
    kind, what = preload["run"]
    named = ", ".join(preload["modules"]) or what
    text = f"entry {what}" if kind == "entry" and not preload["modules"] else f"preload {named}"
    return {"stage": "preload", "what": text, "line": None, "problem": problem}


def how_it_ended(status: int) -> str:
    """In words for a person."""
    code = os.waitstatus_to_exitcode(status)
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
