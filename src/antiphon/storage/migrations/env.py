"""What Alembic executes around the steps: they run in the transaction of the caller, who commits."""

from __future__ import annotations

from alembic import context

from antiphon.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
