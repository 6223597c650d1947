"""How well requests were answered, incidents, and what was told of them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def _table(name: str, key: tuple[str, ...], *columns: sa.Column[Any], more: tuple[Any, ...] = ()) -> None:
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"), *more)


def _text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def upgrade() -> None:
    _table("status_minute", ("api", "start"), _text("api"), *map(_number, ("start", "good", "bad")))
    counts = map(_number, ("known", "lost", "down", "good", "bad"))
    _table(
        "status_span", ("width", "start", "api"), _number("width"), _number("start"), _text("api"), *counts
    )
    _table("status_mark", ("name",), _text("name"), _number("at"), _text("said"))
    good = sa.Column("good", sa.Boolean, nullable=False)
    _table(
        "status_probe", ("api",), _text("api"), _number("at"), good, _number("milliseconds"), _text("reason")
    )
    _incidents()


def _incidents() -> None:
    _table(
        "status_incident",
        ("id",),
        *map(_text, ("id", "kind", "api", "severity", "title")),
        *map(_number, ("opened_at", "begins_at")),
        _number("ends_at", nullable=True),
        _number("resolved_at", nullable=True),
        _text("going", nullable=True),
        more=(sa.UniqueConstraint("going", name="uq_status_incident_going"),),
    )
    op.create_index("ix_status_incident_resolved_at", "status_incident", ["resolved_at"])
    for name, columns in (
        ("status_note", (_text("id"), _text("incident_id"), _number("at"), _text("event"), _text("text"))),
        (
            "status_message",
            (
                *map(_text, ("id", "incident_id", "event")),
                *map(_number, ("created_at", "attempts")),
                _number("next_at", nullable=True),
                _number("sent_at", nullable=True),
            ),
        ),
    ):
        reference = sa.ForeignKeyConstraint(
            ["incident_id"], ["status_incident.id"], name=f"fk_{name}_incident_id"
        )
        _table(name, ("id",), *columns, more=(reference,))
    op.create_index("ix_status_note_incident_id", "status_note", ["incident_id"])
    op.create_index("ix_status_message_next_at", "status_message", ["next_at"])
