"""Whether an organization's content may be trained on: dated decisions, by whom, about which text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.errors import InvalidRequest
from antiphon.storage import audit, scopes
from antiphon.storage.database import Database
from antiphon.storage.ids import new_id
from antiphon.storage.tables import training_consent
from antiphon.values import Caller

CURRENT = "2026-11"
"""The version of the text that is agreed to today. One that was shipped never changes: a new one is added."""
GIVEN_BY_CHARACTERS = 200
LARGEST_PAGE = 100
_MICROSECONDS = 1_000_000


class ConsentText(msgspec.Struct, frozen=True):
    """What is agreed to; `sha256` in hexadecimal, of the text in UTF-8."""

    version: str
    text: str
    sha256: str


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One decision. `decided_at` in microseconds since 1970; it holds from that moment on.

    `text_version` and `text_sha256` are of the text that was agreed to; for an opt-out, of the one that was
    agreed to before. `given_by` names who decided, where that is not seen by the key. Without a key it was
    the operator, at the command line.
    """

    id: str
    opted_in: bool
    decided_at: int
    text_version: str
    text_sha256: str
    given_by: str
    actor_key_id: str | None
    actor_member_id: str | None


_COLUMNS = [training_consent.c[name] for name in Decision.__struct_fields__]


def text(version: str = CURRENT) -> ConsentText:
    """A text that is shipped. Raises `InvalidRequest` for a version that is not. Reads the disk."""
    known = texts()
    if version not in known:
        raise InvalidRequest(
            f"There is no such version of the consent text; the current one is '{CURRENT}'.",
            param="text_version",
        )
    content = known[version]
    return ConsentText(version, content, hashlib.sha256(content.encode()).hexdigest())


def texts() -> Mapping[str, str]:
    """Every text that was ever shipped, by its version. Reads the disk."""
    folder = files("antiphon.privacy") / "texts"
    return {
        file.name.removeprefix("training-").removesuffix(".txt"): file.read_text("utf-8")
        for file in folder.iterdir()
        if file.name.startswith("training-")
    }


class Consents:
    """The decisions of all organizations, about `text`. `by` is who asks; None is the command line.

    `NotFound` is raised for an organization that is not there. What is decided already is not decided
    again: the decision that holds is given.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self.text = text()

    async def opt_in(
        self, organization_id: str, text_version: str, *, given_by: str = "", by: Caller | None
    ) -> Decision:
        """Agree to the current text, whose version is named to say that it was read.

        Raises `InvalidRequest` for another version, and for an operator who does not say who of the
        organization agreed.
        """
        agreed = self.text
        if text_version != agreed.version:
            raise InvalidRequest(
                f"'text_version' must be that of the current text, '{agreed.version}'.", param="text_version"
            )
        if not given_by and (by is None or by.kind == "operator"):
            raise InvalidRequest(
                "An operator has to say who of the organization agreed: 'given_by'.", param="given_by"
            )
        made = await self._decide(organization_id, agreed, given_by, by)
        assert made is not None
        return made

    async def opt_out(
        self, organization_id: str, *, given_by: str = "", by: Caller | None
    ) -> Decision | None:
        """Revoke what was agreed to; None where nothing ever was."""
        return await self._decide(organization_id, None, given_by, by)

    async def current(self, organization_id: str) -> Decision | None:
        """The decision that holds; None: there never was one, so it is opted out."""
        async with self._database.connect() as connection:
            await scopes.require(connection, organization_id, None)
            return await _latest(connection, organization_id)

    async def opted_in(self, organization_id: str, at: float) -> bool:
        """Whether its content might be trained on at a moment, in unix seconds."""
        moment = int(at * _MICROSECONDS)
        async with self._database.connect() as connection:
            found = await _latest(connection, organization_id, moment)
        return found is not None and found.opted_in

    async def list(
        self, organization_id: str, *, after: str | None = None, limit: int = LARGEST_PAGE
    ) -> tuple[list[Decision], bool]:
        """The newest first, after the one of this id, and whether there are more."""
        at = training_consent.c.decided_at
        query = select(*_COLUMNS).where(training_consent.c.organization_id == organization_id)
        async with self._database.connect() as connection:
            await scopes.require(connection, organization_id, None)
            if after is not None:
                begin = await _place(connection, organization_id, after)
                query = query.where(at < begin)
            rows = (await connection.execute(query.order_by(at.desc()).limit(limit + 1))).all()
        return [Decision(**row._mapping) for row in rows[:limit]], len(rows) > limit

    async def _decide(
        self, organization_id: str, agreed: ConsentText | None, given_by: str, by: Caller | None
    ) -> Decision | None:
        """`agreed` to this text, or, with None, to none any more."""
        if len(given_by) > GIVEN_BY_CHARACTERS or not given_by.isprintable():
            raise InvalidRequest(
                f"'given_by' must be at most {GIVEN_BY_CHARACTERS} characters that can be printed.",
                param="given_by",
            )
        async with self._database.begin() as connection:
            await scopes.require(connection, organization_id, None, change=True)
            before = await _latest(connection, organization_id)
            if _holds(before, agreed):
                return before
            # Later than the one before, whatever the clocks of two machines say: the last word holds.
            now = max(int(self._clock() * _MICROSECONDS), before.decided_at + 1 if before else 0)
            made = _decision(agreed, before, given_by, by, now)
            await _insert(connection, organization_id, made, by)
        return made


def _holds(before: Decision | None, agreed: ConsentText | None) -> bool:
    """Whether that is decided already: nobody who never opted in has to opt out."""
    if before is None or not before.opted_in:
        return agreed is None
    return agreed is not None and agreed.sha256 == before.text_sha256


def _decision(
    agreed: ConsentText | None, before: Decision | None, given_by: str, by: Caller | None, now: int
) -> Decision:
    of_before = (before.text_version, before.text_sha256) if before else ("", "")
    version, sha256 = (agreed.version, agreed.sha256) if agreed else of_before
    return Decision(
        id=new_id("consent_"),
        opted_in=agreed is not None,
        decided_at=now,
        text_version=version,
        text_sha256=sha256,
        given_by=given_by,
        actor_key_id=by.key_id if by else None,
        actor_member_id=by.member_id if by else None,
    )


async def _place(connection: AsyncConnection, organization_id: str, id: str) -> int:
    """When a decision was made. Raises `InvalidRequest` for one that is not there."""
    query = select(training_consent.c.decided_at).where(
        training_consent.c.organization_id == organization_id, training_consent.c.id == id
    )
    found: int | None = await connection.scalar(query) if id.isprintable() else None
    if found is None:
        raise InvalidRequest("'after' is not the id of an entry of this list.", param="after")
    return found


async def _latest(
    connection: AsyncConnection, organization_id: str, moment: int | None = None
) -> Decision | None:
    """The last decision, or the last until a moment, in microseconds."""
    query = select(*_COLUMNS).where(training_consent.c.organization_id == organization_id)
    if moment is not None:
        query = query.where(training_consent.c.decided_at <= moment)
    latest = query.order_by(training_consent.c.decided_at.desc()).limit(1)
    row = (await connection.execute(latest)).one_or_none()
    return Decision(**row._mapping) if row is not None else None


async def _insert(
    connection: AsyncConnection, organization_id: str, made: Decision, by: Caller | None
) -> None:
    row = msgspec.structs.asdict(made)
    await connection.execute(insert(training_consent).values(organization_id=organization_id, **row))
    told: dict[str, Any] = {
        name: row[name] for name in ("opted_in", "text_version", "text_sha256", "given_by")
    }
    await audit.record(
        connection,
        "training_opt_in.updated",
        {"id": made.id, "data": told},
        organization_id=organization_id,
        by=by,
        now=made.decided_at / _MICROSECONDS,
    )
