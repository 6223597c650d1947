"""Dedicated instances: sold if there is room for them, changed, and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection, delete, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.access import tenancy
from antiphon.access.paging import Page, page
from antiphon.catalogue.catalogue import Catalogue
from antiphon.catalogue.choices import choices
from antiphon.catalogue.entries import Entry
from antiphon.catalogue.instances import Instance, instances
from antiphon.catalogue.store import ModelStore
from antiphon.errors import CapacityTaken, InsufficientQuota, InvalidRequest
from antiphon.ledger import credits, time_charges
from antiphon.ledger.time_charges import Cost
from antiphon.operations import orders
from antiphon.operations.orders import Change, Order
from antiphon.pools import calendar, machines
from antiphon.pools.calendar import Reservation, Room
from antiphon.settings import Settings
from antiphon.storage import audit
from antiphon.storage.database import Database
from antiphon.storage.ids import new_id
from antiphon.storage.tables import dedicated_instance, dedicated_rate, dedicated_ready, organization
from antiphon.values import Caller

_LATELY = 20
"""Seconds within which a replica must have been seen to be ready."""


class Standing(msgspec.Struct, frozen=True):
    """An instance; its price in nano-dollars an hour for each replica; how many of them are ready; costs."""

    instance: Instance
    price: int
    ready: int
    cost: Cost

    @property
    def id(self) -> str:
        return self.instance.id


class Dedicated:
    """`catalogue` gives the one in force, `clock` unix seconds. `by` None is the operator.

    `NotFound` is raised for an instance that does not exist or is another organization's, in the same words.
    """

    def __init__(
        self,
        database: Database,
        catalogue: Callable[[], Catalogue],
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._settings = settings
        self._clock = clock

    async def create(self, organization_id: str, order: Order, *, by: Caller | None) -> Standing:
        """Sell an instance. Raises `InvalidRequest`, `CapacityTaken`, or `InsufficientQuota` where an hour of
        it is more than what was paid in advance."""
        catalogue, now = self._catalogue(), int(self._clock())
        entry = orders.offered(catalogue, order.model, priced=order.price is not None)
        engine = await asyncio.to_thread(self._engine, entry)
        begins = now if order.begins_at is None else max(now, order.begins_at)
        needs = entry.reserved
        made = Instance(
            id=new_id("dedicated_"),
            organization_id=organization_id,
            name=order.name or entry.id,
            snapshot=entry.id,
            engine=engine,
            context=orders.checked_context(entry, order.context),
            load=orders.checked_load(entry, engine, order.load),
            replicas=orders.checked_replicas(order.replicas),
            spill_over=order.spill_over,
            cpus=needs.cpus,
            memory=needs.memory,
            gpus=needs.gpus,
            begins_at=begins,
            ends_at=orders.checked_end(entry, begins, order.ends_at),
            created_at=now,
        )
        tenancy.check_name("name", made.name)
        price = order.price if order.price is not None else entry.dedicated.price if entry.dedicated else 0
        async with self._database.begin() as connection:
            await tenancy.lock_installation(connection)
            await tenancy.lock_organization(connection, organization_id)
            await connection.run_sync(partial(self._require_room, catalogue, made, now))
            await connection.run_sync(_require_credit, organization_id, made, price)
            await connection.execute(insert(dedicated_instance).values(asdict(made)))
            await connection.execute(insert(dedicated_rate).values(_rate(made, begins, price)))
            await self._record(connection, "created", made, {"data": _told(made, price)}, by)
        return Standing(made, price, 0, Cost())

    async def listed(self, organization_id: str, *, after: str | None, limit: int) -> Page[Standing]:
        """The instances of an organization, the oldest first; those that are over, too."""
        columns = dedicated_instance.c
        async with self._database.connect() as connection:
            rows, more = await page(
                connection,
                select(dedicated_instance).where(columns.organization_id == organization_id),
                columns.created_at,
                columns.id,
                after=after,
                limit=limit,
                shown=true(),
            )
            found = [Instance(**row._mapping) for row in rows]
            return Page([await connection.run_sync(self._standing, one) for one in found], more)

    async def get(self, organization_id: str, id: str) -> Standing:
        async with self._database.connect() as connection:
            return await connection.run_sync(self._standing, await _one(connection, organization_id, id))

    async def update(self, organization_id: str, id: str, change: Change, *, by: Caller | None) -> Standing:
        """Change an instance, at once. Its price stays. Raises as `create` does."""
        catalogue, now = self._catalogue(), int(self._clock())
        async with self._database.begin() as connection:
            await tenancy.lock_installation(connection)
            before = await _one(connection, organization_id, id)
            if before.over(now):
                raise InvalidRequest("The instance is over: nothing of it can be changed.")
            soonest = await connection.run_sync(_soonest, before, now)
            after = _changed(catalogue, before, change, soonest)
            if _grows(before, after):
                await connection.run_sync(partial(self._require_room, catalogue, after, now))
            if after.replicas > before.replicas:
                await connection.run_sync(_require_credit, organization_id, after)
            values = {name: getattr(after, name) for name in change.wanted()}
            if values:
                row = update(dedicated_instance).where(dedicated_instance.c.id == id)
                await connection.execute(row.values(values))
                await self._record(connection, "updated", after, {"changes_requested": values}, by)
            if after.replicas != before.replicas:
                await connection.run_sync(_change_rate, after, soonest)
            return await connection.run_sync(self._standing, after)

    async def end(self, organization_id: str, id: str, *, by: Caller | None) -> Standing:
        """End an instance now; one that has not begun never does. Twice is once."""
        now = int(self._clock())
        async with self._database.begin() as connection:
            await tenancy.lock_installation(connection)
            found = await _one(connection, organization_id, id)
            if not found.over(now):
                ends_at = await connection.run_sync(_soonest, found, now)
                found = msgspec.structs.replace(found, ends_at=ends_at)
                row = update(dedicated_instance).where(dedicated_instance.c.id == id)
                await connection.execute(row.values(ends_at=found.ends_at))
                await self._record(connection, "deleted", found, {}, by)
            return await connection.run_sync(self._standing, found)

    async def calendar(self, model: str, begin: int, end: int | None) -> list[Room]:
        """How many replicas of a model there is room for, and when: from now on. Raises `InvalidRequest`."""
        catalogue, now = self._catalogue(), int(self._clock())
        entry = orders.offered(catalogue, model, priced=True)
        async with self._database.connect() as connection:
            there = await connection.run_sync(machines.known, now)
            sold = await connection.run_sync(partial(instances, after=now))
        kept = [*self._shared(catalogue), *_reserved(sold)]
        return calendar.room(there, kept, entry.reserved, max(now, begin), end)

    def _engine(self, entry: Entry) -> str:
        return choices(entry, ModelStore(self._settings.home_path), self._settings)[0].kind.name

    def _require_room(self, catalogue: Catalogue, wanted: Instance, now: int, connection: Connection) -> None:
        """Raise `CapacityTaken` unless there is room for an instance beside the others."""
        there = machines.known(connection, now)
        if not there:
            raise CapacityTaken("No machine is known that could run it: start the server first.")
        others = [one for one in instances(connection, after=now) if one.id != wanted.id]
        kept = [*self._shared(catalogue), *_reserved(others)]
        begun = msgspec.structs.replace(wanted, begins_at=max(now, wanted.begins_at))
        conflict = calendar.refused(there, kept, _reserved([begun]))
        if conflict is not None:
            raise CapacityTaken(
                f"There is no room for this instance: from {conflict.at} on it lacks {_shown(conflict)}. "
                "The calendar of dedicated instances shows what is free."
            )

    def _shared(self, catalogue: Catalogue) -> list[Reservation]:
        """What everybody's engines need, as the catalogue says, all the time."""
        return [
            Reservation(id=f"{entry.id}/{number}", begin=0, needs=entry.needs.capacity)
            for entry in catalogue.entries.values()
            if entry.id in catalogue.served
            for number in range(entry.scale.least)
        ]

    def _standing(self, connection: Connection, instance: Instance) -> Standing:
        columns, now = dedicated_ready.c, int(self._clock())
        ready = select(columns.replica).where(
            columns.instance_id == instance.id,
            columns.replica < instance.replicas,
            columns.ends_at >= now - _LATELY,
        )
        count = len(set(connection.scalars(ready))) if instance.runs(now) else 0
        price = _price(connection, instance)
        return Standing(instance, price, count, time_charges.cost(connection, instance.id))

    async def _record(
        self,
        connection: AsyncConnection,
        what: str,
        instance: Instance,
        payload: dict[str, object],
        by: Caller | None,
    ) -> None:
        await audit.record(
            connection,
            f"dedicated_instance.{what}",
            {"id": instance.id} | payload,
            organization_id=instance.organization_id,
            by=by,
            now=self._clock(),
        )


async def _one(connection: AsyncConnection, organization_id: str, id: str) -> Instance:
    columns = dedicated_instance.c
    query = select(dedicated_instance).where(columns.organization_id == organization_id, columns.id == id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise tenancy.missing("dedicated instance")
    return Instance(**row._mapping)


def _reserved(sold: list[Instance]) -> list[Reservation]:
    """What instances need: one reservation for each replica."""
    return [
        Reservation(id=f"{one.id}/{number}", begin=one.begins_at, end=one.ends_at, needs=one.needs)
        for one in sold
        for number in range(one.replicas)
    ]


def _changed(catalogue: Catalogue, before: Instance, change: Change, soonest: int) -> Instance:
    """The instance as it is to be, from a moment on. Raises `InvalidRequest`."""
    entry = catalogue.entries.get(before.snapshot)
    if entry is None:
        raise InvalidRequest("The model of this instance is not in the catalogue any more.")
    after = msgspec.structs.replace(before, **change.wanted())
    tenancy.check_name("name", after.name)
    if change.context is not msgspec.UNSET:
        orders.checked_context(entry, after.context)
    if change.load is not msgspec.UNSET:
        orders.checked_load(entry, after.engine, after.load)
    orders.checked_replicas(after.replicas)
    if change.ends_at is not msgspec.UNSET:
        orders.checked_end(entry, soonest, after.ends_at)
    return after


def _grows(before: Instance, after: Instance) -> bool:
    """Whether an instance takes more room than it did: more at once, or longer."""
    longer = before.ends_at is not None and (after.ends_at is None or after.ends_at > before.ends_at)
    return longer or after.replicas > before.replicas


def _require_credit(
    connection: Connection, organization_id: str, instance: Instance, price: int | None = None
) -> None:
    """Raise `InsufficientQuota` unless an organization that pays in advance could pay for an hour, at the
    price that was agreed if none is said."""
    cost = (_price(connection, instance) if price is None else price) * instance.replicas
    prepaid = select(organization.c.prepaid).where(organization.c.id == organization_id)
    if connection.scalar(prepaid) and credits.balance(connection, organization_id).unspent < cost:
        raise InsufficientQuota(
            "What was paid in advance is less than the first hour of this instance costs."
        )


def _rate(instance: Instance, begins_at: int, price: int) -> dict[str, object]:
    return {
        "instance_id": instance.id,
        "begins_at": begins_at,
        "replicas": instance.replicas,
        "price": price,
    }


def _price(connection: Connection, instance: Instance) -> int:
    """Nano-dollars an hour for each of its replicas."""
    columns = dedicated_rate.c
    prices = select(columns.price).where(columns.instance_id == instance.id)
    return connection.scalar(prices.order_by(columns.begins_at.desc()).limit(1)) or 0


def _soonest(connection: Connection, instance: Instance, now: int) -> int:
    """From when on an instance can be another: not while it has not begun, and never where it is billed."""
    # A clock that is late, or was set back, must not change what was charged for.
    return max(now, instance.begins_at, time_charges.billed(connection, instance.id))


def _change_rate(connection: Connection, instance: Instance, at: int) -> None:
    """Let it cost what it costs with other replicas, from a moment on."""
    price = _price(connection, instance)
    of = dedicated_rate.c.instance_id == instance.id
    connection.execute(delete(dedicated_rate).where(of, dedicated_rate.c.begins_at >= at))
    connection.execute(insert(dedicated_rate).values(_rate(instance, at, price)))


def _told(instance: Instance, price: int) -> dict[str, object]:
    """What the audit log shows of an order."""
    names = ("name", "snapshot", "context", "load", "replicas", "spill_over", "begins_at", "ends_at")
    return {name: getattr(instance, name) for name in names} | {"price": price}


def _shown(conflict: calendar.Conflict) -> str:
    lacks = conflict.lacks
    parts = (
        (lacks.cpus, f"{lacks.cpus / 1000:g} processors"),
        (lacks.memory, f"{-(-lacks.memory // 2**20)} MiB of memory"),
        (lacks.gpus, f"{lacks.gpus} accelerators"),
    )
    return ", ".join(text for amount, text in parts if amount)
