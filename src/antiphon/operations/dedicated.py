"""Dedicated instances: sold if there is room for them, changed, and ended."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection, delete, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.access import tenancy
from antiphon.access.paging import Page, page
from antiphon.catalogue import reserving
from antiphon.catalogue.catalogue import Catalogue
from antiphon.catalogue.choices import choices
from antiphon.catalogue.entries import Entry
from antiphon.catalogue.instances import Instance, instances
from antiphon.catalogue.store import ModelStore
from antiphon.errors import ConfigurationError, InvalidRequest
from antiphon.ledger import time_charges
from antiphon.ledger.time_charges import Cost
from antiphon.operations import affording, orders, placing
from antiphon.operations.orders import Change, Order
from antiphon.pools.calendar import Room
from antiphon.settings import Settings
from antiphon.storage import audit
from antiphon.storage.database import Database
from antiphon.storage.ids import derived_id, new_id
from antiphon.storage.tables import dedicated_instance, dedicated_rate, dedicated_ready
from antiphon.values import Caller, Capacity

MOST = 100
"""Instances of an organization that are not over."""
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

    async def create(
        self, organization_id: str, order: Order, *, by: Caller | None, key: str | None = None
    ) -> Standing:
        """Sell an instance: with a `key`, which is the caller's for the order, only once.

        Raises `InvalidRequest`, `CapacityTaken`, or `InsufficientQuota` where an hour of it, and of what else
        the organization has, is more than what is left that was paid in advance.
        """
        catalogue, now = self._catalogue(), int(self._clock())
        made, price = await self._priced(catalogue, organization_id, order, now)
        if key is not None:
            id = derived_id("dedicated_", organization_id, key)
            made = msgspec.structs.replace(made, id=id, ordered=_digest(order))
        shared = await asyncio.to_thread(placing.shared, catalogue, self._settings)
        async with self._database.begin() as connection:
            await tenancy.lock_installation(connection)
            await tenancy.lock_organization(connection, organization_id)
            if key is not None and (same := await _same(connection, made)):
                return await connection.run_sync(self._standing, same)
            await connection.run_sync(_require_few, organization_id, now)
            await connection.run_sync(affording.require, made, price, now)
            made = await self._placed(connection, made, shared, now)
            await connection.execute(insert(dedicated_instance).values(asdict(made)))
            await connection.execute(insert(dedicated_rate).values(_rate(made, made.begins_at, price)))
            await self._record(connection, "created", made, {"data": _told(made, price)}, by)
        return Standing(made, price, 0, Cost())

    async def quoted(self, organization_id: str, order: Order) -> Standing:
        """What would be sold, at which price; nothing is. Raises as `create` does."""
        catalogue, now = self._catalogue(), int(self._clock())
        made, price = await self._priced(catalogue, organization_id, order, now)
        shared = await asyncio.to_thread(placing.shared, catalogue, self._settings)
        async with self._database.connect() as connection:
            await connection.run_sync(_require_few, organization_id, now)
            await connection.run_sync(affording.require, made, price, now)
            return Standing(await self._placed(connection, made, shared, now), price, 0, Cost())

    async def _priced(
        self, catalogue: Catalogue, organization_id: str, order: Order, now: int
    ) -> tuple[Instance, int]:
        made = await asyncio.to_thread(self._ordered, catalogue, organization_id, order, now)
        entry = catalogue.entries[made.snapshot]
        price = order.price if order.price is not None else entry.dedicated.price if entry.dedicated else 0
        return made, price

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

    async def update(
        self,
        organization_id: str,
        id: str,
        change: Change,
        *,
        by: Caller | None,
        seen: Instance | None = None,
    ) -> Standing:
        """Change an instance, at once: of what is not any more as it was `seen`, nothing. Its price stays.

        Raises as `create` does.
        """
        catalogue, now = self._catalogue(), int(self._clock())
        shared = await asyncio.to_thread(placing.shared, catalogue, self._settings)
        async with self._database.begin() as connection:
            await tenancy.lock_installation(connection)
            before = await _one(connection, organization_id, id)
            if before.over(now):
                raise InvalidRequest("The instance is over: nothing of it can be changed.")
            change = change if seen is None else change.without(asdict(before), asdict(seen))
            soonest = await connection.run_sync(_soonest, before, now)
            after = _changed(catalogue, before, change, soonest)
            if (after.context, after.load) != (before.context, before.load):
                needs = await asyncio.to_thread(self._needs, catalogue.entries[after.snapshot], after)
                after = msgspec.structs.replace(after, memory=needs.memory)
            if _grows(before, after):
                await self._placed(connection, after, shared, now)
            if after.replicas > before.replicas:
                price = await connection.run_sync(affording.price, id)
                await connection.run_sync(affording.require, after, price, now)
            values = {name: getattr(after, name) for name in change.wanted()}
            if values:
                row = update(dedicated_instance).where(dedicated_instance.c.id == id)
                await connection.execute(row.values(values | {"memory": after.memory}))
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
        """How many replicas of a model, at its usual size, one instance could have, and when: from now on.

        Raises `InvalidRequest`.
        """
        catalogue, now = self._catalogue(), int(self._clock())
        entry = orders.offered(catalogue, model, priced=True)
        needs = await asyncio.to_thread(self._usual_needs, entry)
        shared = await asyncio.to_thread(placing.shared, catalogue, self._settings)
        async with self._database.connect() as connection:
            ground = await connection.run_sync(placing.ground, shared, now)
        return await asyncio.to_thread(ground.room, needs, max(now, begin), end)

    async def adopt(self, server: str) -> list[str]:
        """Let a server run the instances whose own was not heard of lately, as far as it has room for them.

        Gives their ids.
        """
        now = int(self._clock())
        async with self._database.connect() as connection:
            if not (await connection.run_sync(placing.ground, (), now)).lost:
                return []
        shared = await asyncio.to_thread(placing.shared, self._catalogue(), self._settings)
        async with self._database.begin() as connection:
            await tenancy.lock_installation(connection)
            ground = await connection.run_sync(placing.ground, shared, now)
            found = await asyncio.to_thread(ground.adopted, server, now)
            row = update(dedicated_instance).where(dedicated_instance.c.id.in_(found))
            await connection.execute(row.values(server=server))
        return found

    def _ordered(self, catalogue: Catalogue, organization_id: str, order: Order, now: int) -> Instance:
        """The instance that is asked for, not yet on any server. Reads the disk. Raises `InvalidRequest`."""
        entry = orders.offered(catalogue, order.model, priced=order.price is not None)
        engine = self._engine(entry)
        begins = now if order.begins_at is None else max(now, order.begins_at)
        made = Instance(
            id=new_id("dedicated_"),
            organization_id=organization_id,
            name=order.name or entry.id[: tenancy.NAME_CHARACTERS],
            snapshot=entry.id,
            engine=engine,
            context=orders.checked_context(entry, order.context),
            load=orders.checked_load(entry, engine, order.load),
            replicas=orders.checked_replicas(order.replicas),
            spill_over=order.spill_over,
            cpus=0,
            memory=0,
            gpus=0,
            begins_at=begins,
            ends_at=orders.checked_end(entry, begins, order.ends_at),
            created_at=now,
            server="",
        )
        tenancy.check_name("name", made.name)
        return msgspec.structs.replace(made, **asdict(self._needs(entry, made)))

    async def _placed(
        self, connection: AsyncConnection, wanted: Instance, shared: Sequence[Capacity], now: int
    ) -> Instance:
        """An instance on the server that has room for it beside the others. Raises `CapacityTaken`."""
        ground = await connection.run_sync(placing.ground, shared, now)
        # In a thread, since there may be many: nobody else sells meanwhile, and requests go on.
        server = await asyncio.to_thread(ground.server_for, wanted, now)
        return msgspec.structs.replace(wanted, server=server)

    def _engine(self, entry: Entry) -> str:
        return choices(entry, ModelStore(self._settings.home_path), self._settings)[0].kind.name

    def _needs(self, entry: Entry, size: Instance) -> Capacity:
        return self._reserved(entry, size.engine, size.context, size.load)

    def _usual_needs(self, entry: Entry) -> Capacity:
        try:
            engine = self._engine(entry)
        except ConfigurationError:  # it cannot be sold as it is
            return entry.reserved
        context, load = orders.checked_context(entry, None), orders.checked_load(entry, engine, None)
        return self._reserved(entry, engine, context, load)

    def _reserved(self, entry: Entry, engine: str, context: int, load: int) -> Capacity:
        store = ModelStore(self._settings.home_path)
        return reserving.reserved(entry, engine, context, load, store, self._settings)

    def _standing(self, connection: Connection, instance: Instance) -> Standing:
        columns, now = dedicated_ready.c, int(self._clock())
        ready = select(columns.replica).where(
            columns.instance_id == instance.id,
            columns.replica < instance.replicas,
            columns.ends_at >= now - _LATELY,
        )
        count = len(set(connection.scalars(ready))) if instance.runs(now) else 0
        price = affording.price(connection, instance.id)
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


async def _same(connection: AsyncConnection, wanted: Instance) -> Instance | None:
    """The instance that was ordered with the same key before. Raises `InvalidRequest` for another order."""
    query = select(dedicated_instance).where(dedicated_instance.c.id == wanted.id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    found = Instance(**row._mapping)
    if found.ordered != wanted.ordered:
        raise InvalidRequest(
            "Another instance was ordered with this key before.", code="idempotency_key_in_use"
        )
    return found


def _digest(order: Order) -> bytes:
    return hashlib.sha256(msgspec.json.encode(order)).digest()


def _require_few(connection: Connection, organization_id: str, now: int) -> None:
    """Raise `InvalidRequest` for one more than an organization may have."""
    if len(instances(connection, organization_id=organization_id, after=now)) >= MOST:
        raise InvalidRequest(
            f"An organization may have {MOST} instances that are not over: delete one that is not used.",
            code="too_many_instances",
        )


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
    return longer or after.replicas > before.replicas or after.memory > before.memory


def _rate(instance: Instance, begins_at: int, price: int) -> dict[str, object]:
    return {
        "instance_id": instance.id,
        "begins_at": begins_at,
        "replicas": instance.replicas,
        "price": price,
    }


def _soonest(connection: Connection, instance: Instance, now: int) -> int:
    """From when on an instance can be another: not while it has not begun, and never where it is billed."""
    # A clock that is late, or was set back, must not change what was charged for.
    return max(now, instance.begins_at, time_charges.billed(connection, instance.id))


def _change_rate(connection: Connection, instance: Instance, at: int) -> None:
    """Let it cost what it costs with other replicas, from a moment on."""
    price = affording.price(connection, instance.id)
    of = dedicated_rate.c.instance_id == instance.id
    connection.execute(delete(dedicated_rate).where(of, dedicated_rate.c.begins_at >= at))
    connection.execute(insert(dedicated_rate).values(_rate(instance, at, price)))


def _told(instance: Instance, price: int) -> dict[str, object]:
    """What the audit log shows of an order."""
    names = ("name", "snapshot", "context", "load", "replicas", "spill_over", "begins_at", "ends_at")
    return {name: getattr(instance, name) for name in names} | {"price": price}
