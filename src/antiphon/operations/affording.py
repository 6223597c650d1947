"""Whether an organization that pays in advance has paid enough for an instance."""

from __future__ import annotations

from sqlalchemy import Connection, select

from antiphon.catalogue.instances import Instance, instances
from antiphon.errors import InsufficientQuota
from antiphon.ledger import credits, time_charges
from antiphon.storage.tables import dedicated_rate, organization


def price(connection: Connection, instance_id: str) -> int:
    """Nano-dollars an hour for each of its replicas."""
    columns = dedicated_rate.c
    prices = select(columns.price).where(columns.instance_id == instance_id)
    return connection.scalar(prices.order_by(columns.begins_at.desc()).limit(1)) or 0


def require(connection: Connection, wanted: Instance, price_of_it: int, now: int) -> None:
    """Raise `InsufficientQuota` unless an organization that pays in advance could pay for an hour of an
    instance, and of all others that it has, beside what they have cost and was not charged yet."""
    owner = wanted.organization_id
    if not connection.scalar(select(organization.c.prepaid).where(organization.c.id == owner)):
        return
    others = [one for one in instances(connection, organization_id=owner, after=now) if one.id != wanted.id]
    hour = sum(price(connection, one.id) * one.replicas for one in others)
    running = hour + time_charges.unbilled(connection, owner, now)
    if credits.balance(connection, owner).unspent < price_of_it * wanted.replicas + running:
        beside = ", beside an hour of the others and what of them is not billed yet" if running else ""
        raise InsufficientQuota(
            f"What was paid in advance is less than the first hour of this instance costs{beside}."
        )
