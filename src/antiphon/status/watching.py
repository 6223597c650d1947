"""What alerts say now, and the incidents that they open, make worse and resolve."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, update

from antiphon.status import incidents
from antiphon.status.alerts import LONGEST, RULES, Rule, burn, firing
from antiphon.status.arithmetic import HOUR, MINUTE, Counts, budget, losses
from antiphon.status.incidents import Incident
from antiphon.status.outcomes import APIS
from antiphon.status.rolling import known, since, sums
from antiphon.storage.sql import insert_missing
from antiphon.storage.tables import status_mark

SETTLE_SECONDS = 10
"""After its end a minute is looked at: by then every process has written what it counted."""
_SHORT = max(rule.short for rule in RULES) * MINUTE
SILENT_SECONDS = _SHORT
"""So long after it failed an API that nobody asks again is what an incident says of it."""
ANSWERED = "Requests are answered as they should be again."
BACK = "Servers run again; nobody has asked since."
SILENT = "Nobody has asked for six hours: whether requests are answered again is not known."
NAMES = {
    "chat": "Chat",
    "speech": "Speech",
    "embeddings": "Embeddings",
    "moderation": "Moderation",
    "administration": "Administration",
}
WORDS = {"outage": "outage", "degraded": "degraded", "slow_burn": "more failures than promised"}


class Burn(msgspec.Struct, frozen=True, kw_only=True):
    """The burn rates of one API over each rule's long window, and the alert that fires, if one does."""

    api: str
    alert: str
    rates: dict[str, float]


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """Of all APIs that anything is known of, at a moment (unix seconds)."""

    at: int
    burns: list[Burn]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """`lost`: by minutes in the longest short window, by whole hours before; `counts`: of that window."""

    lost: dict[int, int]
    counts: Counts


def watch(connection: Connection, objective: float, now: int) -> list[Incident]:
    """Look at the alerts of all whole minutes before `now`: the incidents that were changed."""
    end = now - SETTLE_SECONDS
    end -= end % MINUTE
    found, changed = [], []
    for api, seen in _seen(connection, end).items():
        lost = seen.lost
        allowed = budget(objective)
        # What an incident was opened and resolved for does not open another one.
        last = incidents.last_resolved(connection, api)
        fresh = {minute: part for minute, part in lost.items() if minute >= last}
        rule = firing(fresh, allowed, end)
        changed += _decide(connection, api, rule, seen, objective, now)
        rates: dict[str, float] = {
            one.severity: round(burn(lost, one.long, allowed, end), 2) for one in RULES
        }
        found.append(Burn(api=api, alert=rule.severity if rule else "", rates=rates))
    said = msgspec.json.encode(Watched(at=now, burns=found)).decode()
    insert_missing(connection, status_mark, [{"name": "watched", "at": now, "said": said}])
    change = update(status_mark).where(status_mark.c.name == "watched")
    connection.execute(change.values(at=now, said=said))
    return changed


def _seen(connection: Connection, end: int) -> dict[str, Seen]:
    """Of each API that was ever asked, what is there before `end`."""
    cut = end - _SHORT - HOUR  # silence that long is looked at with what was before it
    cut -= cut % HOUR
    first, found = since(connection), known(connection, cut, end)
    lost: dict[str, dict[int, int]] = {api: {} for api in APIS if api in first}
    for api, start, hour in sums(connection, HOUR, end - LONGEST * MINUTE):
        if start < cut and api in lost:
            lost[api][start] = hour.lost
    for api in lost:
        lost[api] |= losses(found.counts.get(api, {}), found.life, max(cut, first[api]), end)
    return {api: Seen(lost=lost[api], counts=found.counts.get(api, {})) for api in lost}


def _decide(
    connection: Connection, api: str, rule: Rule | None, seen: Seen, objective: float, now: int
) -> list[Incident]:
    open_now = incidents.going(connection, api)
    if open_now is None:
        if rule is None:
            return []
        made = incidents.open_by_alert(
            connection, api, rule.severity, _title(api, rule), _text(rule, objective), now
        )
        return [made] if made else []
    if rule is None or (rule.severity == "slow_burn" != open_now.severity):
        # The last rule goes on for six hours after any outage: that is no incident that goes on.
        text = over(seen, open_now.severity, budget(objective), now)
        return [incidents.resolve(connection, open_now.id, text, now)] if text else []
    if _rank(rule.severity) < _rank(open_now.severity):
        words = (rule.severity, _title(api, rule), _text(rule, objective))
        return [incidents.escalate(connection, open_now, *words, now)]
    return []


def over(seen: Seen, severity: str, allowed: int, now: int) -> str:
    """Why an incident is over at `now`, for which no alert fires any more; empty: it is not.

    Silence is no proof: clients that were refused ask less. `allowed` in millionths of a minute.
    """
    # As much as may be lost without the last alert that holds such an incident open.
    tenths = RULES[-1 if severity == "slow_burn" else -2].tenths
    lost = {minute for minute, part in seen.lost.items() if 10 * part > tenths * allowed}
    good = max(
        (minute for minute, (well, _) in seen.counts.items() if well and minute not in lost), default=0
    )
    last = max(lost, default=0)
    if good > last:
        return ANSWERED
    if not any(minute in lost and minute > good for minute in seen.counts):
        return BACK
    return SILENT if last + MINUTE <= now - SILENT_SECONDS else ""


def _rank(severity: str) -> int:
    """0 is the worst."""
    return next(rank for rank, rule in enumerate(RULES) if rule.severity == severity)


def _title(api: str, rule: Rule) -> str:
    return f"{NAMES[api]}: {WORDS[rule.severity]}"


def _text(rule: Rule, objective: float) -> str:
    return (
        f"Requests fail, or are answered too late, more than {rule.tenths / 10:g} times as often as an "
        f"objective of {objective:g} % allows ({rule.words})."
    )
