"""The life of an incident: it opens when it has lasted long enough, and each of its ends is told once.

In a fleet it is the coordinator who says which member tells it (`Shared`); while that is out of reach, each tells its
own, at least once rather than never.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fleetd.core.alerts import MEANINGS, About, AlertSpec, Word, built_in
from fleetd.core.effects import Announce, Notify
from fleetd.core.facts import Fact, Kind, Value
from fleetd.core.incident import Alerts, Held, Incident, Message, Shared, Sign, Stage, Subject, Told
from fleetd.core.records import IncidentMemory
from fleetd.core.spec import FleetSpec, Seconds
from fleetd.core.state import State
from fleetd.core.subjects import named
from fleetd.core.turn import Turn

AWAY: Seconds = 10.0  # how long the fleet has to be out of reach before a host tells its own
RESTORED: Seconds = 30.0  # how long a daemon has to look whether what it remembers still holds
LISTENS: Seconds = 60.0  # after the fleet was away for as long, for all hosts to say what they have
MOST_INHERITED = 50  # incidents that are over and yet to be told to be, before a host takes over another one
MOST_NEWS = 50  # incidents that a beat tells of as news
LEAST_CONFIRMED, CONFIRMED_WITHIN = 2, 100  # known incidents that a beat confirms, and in how many beats all are


# -- what holds ------------------------------------------------------------------------------------------------------


def note(turn: Turn, alert: AlertSpec, subject: Subject, sign: Sign | None, *, again: bool = False) -> None:
    """A condition was looked at: it holds (`sign`), or does not; `again`: it has happened once more."""
    alerts = turn.state.alerts
    incident = alerts.incidents.get((alert.id, subject))
    if incident is None:
        if sign is not None:
            alerts.is_stale = True
            incident = Incident(alert, subject, turn.now.unix, sign=sign)
            alerts.incidents[alert.id, subject] = incident
            _arise(turn, incident)
    elif sign is None:
        _subside(turn, incident)
    else:
        incident.sign = sign
        incident.count += again and incident.stage is Stage.OPEN
        _return(turn, incident)


def _arise(turn: Turn, incident: Incident) -> None:
    if incident.alert.lasting > 0:
        incident.due = turn.now.mono + incident.alert.lasting
    else:
        _open(turn, incident)


def _open(turn: Turn, incident: Incident) -> None:
    incident.stage, incident.due = Stage.OPEN, None
    _remember(turn, incident)


def _subside(turn: Turn, incident: Incident) -> None:
    turn.state.alerts.is_stale = True
    if incident.stage is Stage.WAITING:
        del turn.state.alerts.incidents[incident.alert.id, incident.subject]
    elif incident.stage is Stage.OPEN:
        incident.stage, incident.ended_at = Stage.ENDING, turn.now.unix
        incident.due = turn.now.mono + incident.alert.recover_after
    else:
        incident.came_back = False


def _return(turn: Turn, incident: Incident) -> None:
    """It holds: one that was ending goes on; one that is being told to be over begins anew after that."""
    if incident.stage in (Stage.WAITING, Stage.OPEN):
        return
    turn.state.alerts.is_stale = True
    if Told.RECOVERED in (incident.sending, incident.told):
        incident.came_back = True
        if incident.told is Told.RECOVERED and (_is_away(turn) or _is_alone(turn)):
            _end(turn, incident)
        return
    incident.stage, incident.due, incident.ended_at = Stage.OPEN, None, None
    incident.count += 1
    _remember(turn, incident)


def _remember(turn: Turn, incident: Incident) -> None:
    if incident.alert.is_told:
        turn.remember_now()


# -- time, and what is to be told ------------------------------------------------------------------------------------


def go_on(turn: Turn) -> None:
    """Let pass what is due, and have told what is to be told."""
    alerts = turn.state.alerts
    for incident in list(alerts.incidents.values()):
        if incident.due is not None and incident.due <= turn.now.mono:
            incident.due = None
            if incident.stage is Stage.WAITING:
                _open(turn, incident)
            elif incident.stage is Stage.ENDING:
                incident.stage = Stage.OVER
                _remember(turn, incident)
        _tell(turn, incident)
    alerts.next, alerts.is_stale = min(_instants(turn), default=None), False


def _instants(turn: Turn) -> Iterator[Seconds]:
    alerts = turn.state.alerts
    yield from alerts.checks.values()
    away_at = _away_at(turn)
    for incident in alerts.incidents.values():
        if incident.due is not None:
            yield incident.due
        waits = incident.alert.is_told and incident.next and not incident.sending
        if waits and away_at is not None and away_at > turn.now.mono:
            yield away_at


def _tell(turn: Turn, incident: Incident) -> None:
    told = incident.next
    if not told or incident.sending or not _may_tell(turn, incident, told):
        return
    if not incident.alert.is_told:
        if incident.subject.word is Word.LONG_WAIT:  # of what else is shown, the events tell by themselves
            _tell_of_wait(turn, incident, told)
        settle(turn, incident, told)
        return
    incident.sending = told
    incident.begun = incident.begun or turn.now.unix
    if incident.announced is not told:
        incident.announced = told
        _announce(turn, incident, told)
    turn.remember_now()
    turn.emit(Notify(message(turn.state, incident, told)))


def settle(turn: Turn, incident: Incident, told: Told) -> None:
    """People were told, or it was tried for long enough."""
    incident.told, incident.sending, incident.begun = told, Told.NOTHING, None
    incident.is_teller = False  # of what is next, until the fleet says so
    incident.is_mine = incident.is_mine or told is Told.OPENED
    if told is Told.RECOVERED and (not incident.alert.is_told or _is_alone(turn)):
        _end(turn, incident)  # in a fleet: once it knows
    _remember(turn, incident)


def _end(turn: Turn, incident: Incident) -> None:
    alerts, place = turn.state.alerts, (incident.alert.id, incident.subject)
    del alerts.incidents[place]
    if incident.came_back:
        new = Incident(incident.alert, incident.subject, turn.now.unix, sign=incident.sign)
        alerts.incidents[place] = new
        _arise(turn, new)


def told(turn: Turn, key: str, what: Told) -> None:
    """A message was delivered, or given up."""
    incident = next((each for each in turn.state.alerts.incidents.values() if each.key == key), None)
    if incident is not None and incident.sending is what:
        turn.state.alerts.is_stale = True
        settle(turn, incident, what)


# -- the fleet -------------------------------------------------------------------------------------------------------


def _may_tell(turn: Turn, incident: Incident, told: Told) -> bool:
    """Whether it is for this host to tell: alone, when the fleet leaves it to it, or when there is no fleet to ask."""
    if not incident.alert.is_told or _is_alone(turn):
        return True
    if not _is_away(turn):
        return incident.is_teller and (told is Told.OPENED or not _listens(turn))
    away_at = _away_at(turn)
    if away_at is None or turn.now.mono < away_at:
        return False
    return told is Told.OPENED or incident.is_mine


def _is_alone(turn: Turn) -> bool:
    """Whether no other host is to be asked."""
    return turn.state.fleet is None or turn.state.fleet.held_by_other


def _is_away(turn: Turn) -> bool:
    """Whether the fleet cannot be asked now."""
    return turn.state.fleet is not None and not turn.state.fleet.connected


def _away_at(turn: Turn) -> Seconds | None:
    """When the fleet has been out of reach for long enough; None: it is not, or was not tried yet."""
    fleet = turn.state.fleet
    if fleet is None or fleet.connected or fleet.since is None:
        return None
    return turn.now.mono + fleet.since + AWAY - turn.now.unix


def standing(state: State) -> tuple[Held, ...]:
    """What the fleet should know: what this host has to say of all incidents."""
    if not state.alerts.incidents:
        return ()
    return tuple(map(_held, _real(state)))


def said(state: State) -> tuple[Held, ...]:
    """What a beat tells of incidents; nothing where there are none.

    What the fleet knows already is only confirmed, a few at a time: each is, long before the fleet would forget it.
    Of news each has its turn: what is over here, and not elsewhere, stays news for as long as that lasts.
    """
    if not state.alerts.incidents:
        return ()
    real = _real(state)
    known = sorted((each for each in real if each.is_known), key=lambda each: each.heard_at or 0.0)
    few = max(LEAST_CONFIRMED, -(-len(known) // CONFIRMED_WITHIN))
    news = sorted((each for each in real if not each.is_known), key=lambda each: each.said_at or 0.0)
    return tuple(map(_held, (*news[:MOST_NEWS], *known[:few])))


def _real(state: State) -> list[Incident]:
    return [each for each in state.alerts.incidents.values() if each.is_real and each.alert.is_told]


def _held(incident: Incident) -> Held:
    return Held(incident.key, incident.stage is not Stage.OVER, incident.told)


def heard(turn: Turn, answers: Mapping[str, Shared]) -> None:
    """What the fleet says of the incidents that a beat told of, and of those that are left to whoever lives."""
    alerts = turn.state.alerts
    if alerts.away_since is not None and turn.now.mono - alerts.away_since >= LISTENS:
        alerts.listens_until = turn.now.mono + LISTENS
    alerts.away_since = None
    alerts.is_stale = alerts.is_stale or bool(answers)
    asked = {held.key for held in said(turn.state)}
    known = {each.key: each for each in alerts.incidents.values() if each.alert.is_told}
    for key, shared in answers.items():
        incident = known.get(key)
        if incident is None:
            if not shared.is_closed and not _listens(turn):
                _inherit(turn, shared)
            continue
        incident.is_teller, incident.hosts = shared.is_teller, shared.hosts
        incident.said_at = turn.now.mono if key in asked else incident.said_at
        incident.heard_at = turn.now.mono if shared.told is Told.OPENED else None
        if shared.is_closed and incident.stage is Stage.OVER and not incident.sending:
            _end(turn, incident)
            turn.remember_now()
        elif shared.told is Told.OPENED and incident.told is Told.NOTHING:
            incident.told = Told.OPENED
            incident.begun = incident.begun if incident.sending else None
            turn.remember_now()


def lose_contact(turn: Turn) -> None:
    """The fleet is out of reach, and may forget who has what: all of it is news when it is back."""
    alerts = turn.state.alerts
    if alerts.away_since is None:
        alerts.away_since = turn.now.mono
    for incident in alerts.incidents.values():
        incident.heard_at = None


def _listens(turn: Turn) -> bool:
    """Whether the fleet may have forgotten what other hosts have, and they had no time to say it again."""
    return turn.now.mono < turn.state.alerts.listens_until


def _inherit(turn: Turn, shared: Shared) -> None:
    """All hosts that had it are gone: what is left to tell is told by one that lives, if it is asked to."""
    alerts = turn.state.alerts
    found = named(turn.state, shared.key)
    if found is None or (found[0].id, found[1]) in alerts.incidents:
        return
    if sum(each.stage is Stage.OVER for each in alerts.incidents.values()) >= MOST_INHERITED:
        return  # the fleet keeps it: there is another beat
    alert, subject = found
    now = turn.now.unix
    incident = Incident(alert, subject, now, Stage.OVER, ended_at=now, told=shared.told, hosts=shared.hosts)
    alerts.incidents[alert.id, subject] = incident


# -- what a daemon remembers -----------------------------------------------------------------------------------------


def change_rules(turn: Turn, spec: FleetSpec) -> None:
    """Go on with the alerts of a new spec: incidents of those that are gone are forgotten."""
    alerts = turn.state.alerts
    alerts.is_stale = True
    rules = {alert.id: alert for alert in (*built_in(), *spec.alerts)}
    alerts.rules = {}
    for alert in rules.values():
        alerts.rules[alert.on] = (*alerts.rules.get(alert.on, ()), alert)
    for (alert_id, subject), incident in list(alerts.incidents.items()):
        if alert_id in rules:
            incident.alert = rules[alert_id]
        else:
            del alerts.incidents[alert_id, subject]
    remembered, alerts.remembered = alerts.remembered, ()
    for memory in remembered:
        if memory.alert in rules:
            _restore(turn, rules[memory.alert], memory)


def _restore(turn: Turn, alert: AlertSpec, memory: IncidentMemory) -> None:
    """Whether it still holds is yet to be seen."""
    if memory.told == Told.RECOVERED and _is_alone(turn):
        return  # only a fleet had to know of it
    subject = Subject(alert.on, memory.pool, memory.detail)
    incident = Incident(
        alert,
        subject,
        memory.began_at,
        Stage.OVER if memory.is_over else Stage.ENDING,
        None if memory.is_over else turn.now.mono + max(alert.recover_after, RESTORED),
        Sign(memory.value, memory.worker, memory.error),
        memory.count - (not memory.is_over),  # that it holds is seen once more
        ended_at=memory.ended_at or turn.now.unix,
        told=Told(memory.told),
        announced=Told(memory.announced),
        begun=memory.begun,
        is_mine=memory.is_mine,
    )
    turn.state.alerts.incidents[alert.id, subject] = incident
    if subject.word is Word.CRASH_LOOP and subject.pool in turn.state.pools and not memory.is_over:
        turn.state.alerts.unproven[subject.pool] = set(turn.state.pools[subject.pool].slots)


# -- words -----------------------------------------------------------------------------------------------------------


def message(state: State, incident: Incident, told: Told) -> Message:
    """What is to be told of an incident now."""
    subject, about = incident.subject, MEANINGS[incident.subject.word].about
    detail = {about: subject.detail}
    epoch = detail.get(About.ROLLOUT)
    return Message(
        key=incident.key,
        alert=incident.alert.id,
        word=subject.word,
        told=told,
        pool=subject.pool,
        queue=detail.get(About.QUEUE),
        broker=detail.get(About.BROKER),
        epoch=int(epoch) if epoch is not None and epoch.isdecimal() else None,
        worker=incident.sign.worker,
        error=incident.sign.error,
        since=incident.began_at,
        ended=incident.ended_at if told is Told.RECOVERED else None,
        value=incident.sign.value,
        threshold=incident.alert.above.value if MEANINGS[subject.word].units else None,
        count=incident.count,
        hosts=incident.hosts if state.fleet is None or incident.hosts else (state.fleet.member,),
        begun=incident.begun or 0.0,
        unit=incident.alert.above.unit,
    )


def _announce(turn: Turn, incident: Incident, told: Told) -> None:
    kind = Kind.ALERT_OPENED if told is Told.OPENED else Kind.ALERT_RECOVERED
    is_over = told is Told.RECOVERED
    fields: dict[str, Value] = {
        "on": incident.subject.word,
        "subject": incident.subject.detail,
        "since": round(incident.began_at, 3),
        "hosts": incident.hosts,
        "count": incident.count,
    }
    if is_over:
        fields["lasted"] = round(max(0.0, (incident.ended_at or turn.now.unix) - incident.began_at), 3)
    else:
        fields |= {"value": incident.sign.value, "error": incident.sign.error}
    worker = None if is_over else incident.sign.worker
    turn.emit(Announce(Fact(kind, incident.subject.pool, worker, fields)))


def _tell_of_wait(turn: Turn, incident: Incident, told: Told) -> None:
    subject = incident.subject
    assert subject.pool is not None
    if told is Told.OPENED:
        fields: dict[str, Value] = {"queue": subject.detail, "wait": round(incident.sign.value or 0.0, 3)}
        turn.tell(Kind.QUEUE_LONG_WAIT, subject.pool, fields=fields)
        return
    lasted = round(max(0.0, (incident.ended_at or turn.now.unix) - incident.began_at), 3)
    turn.tell(Kind.QUEUE_WAIT_OVER, subject.pool, fields={"queue": subject.detail, "lasted": lasted})


def rules_on(alerts: Alerts, word: Word, pool: str | None = None) -> Iterator[AlertSpec]:
    """The alerts that are on a word, for a pool."""
    for alert in alerts.rules.get(word, ()):
        if pool is None or alert.is_for(pool):
            yield alert
