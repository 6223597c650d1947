"""What was flagged, shown: only for as long as whoever keeps content still has it."""

from __future__ import annotations

from typing import Protocol


class Evidence(Protocol):
    """Where content is kept."""

    async def text(self, organization_id: str, request_id: str) -> str | None:
        """What was sent and answered; None where it was never kept, or is not kept any more."""


class NoEvidence:
    """Where no content is kept at all."""

    async def text(self, organization_id: str, request_id: str) -> str | None:
        return None
