"""What a rotation of a key is called, so that asking for it again makes nothing new."""

from __future__ import annotations

from antiphon.api.admin.answers import read_body_if_any
from antiphon.api.exchange import Exchange
from antiphon.errors import InvalidRequest
from antiphon.wire.admin.keys import Rotation


async def read_rotation(exchange: Exchange) -> tuple[str | None, int]:
    """Its name, from the body's `rotation_id` or the `Idempotency-Key` header, and the grace in seconds."""
    wanted = await read_body_if_any(exchange, Rotation)
    header = exchange.headers.get("idempotency-key")
    if header is not None and wanted.rotation_id not in (None, header):
        raise InvalidRequest(
            "'rotation_id' and the Idempotency-Key header differ: send one of them.",
            param="rotation_id",
            code="invalid_parameter_combination",
        )
    return (wanted.rotation_id if header is None else header), wanted.grace_seconds
