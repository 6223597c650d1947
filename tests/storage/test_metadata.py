"""What constraints are called, so that a migration can change them."""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint

from antiphon.storage.tables import metadata


def test_every_constraint_has_a_name() -> None:
    constraints = [one for table in metadata.tables.values() for one in (*table.constraints, *table.indexes)]
    assert len(constraints) > len(metadata.tables)
    for one in constraints:
        assert one.name, f"{one} of {one.table}"
        if isinstance(one, UniqueConstraint | Index):
            assert str(one.name).startswith(("uq_", "ix_"))
