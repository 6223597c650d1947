"""Recordings, written down and translated in the browser: its script asks the API that everybody uses."""

from __future__ import annotations

from antiphon.api.exchange import Exchange
from antiphon.api.languages import NAMES
from antiphon.api.routes import Route
from antiphon.console.choices import active, instances, names, running
from antiphon.console.services import Pages


class SpeechPage(Pages):
    def rows(self) -> list[Route]:
        return [self._shell.page("/speech", self.page, "org.read", "Transcribe and translate recordings.")]

    async def page(self, exchange: Exchange) -> None:
        organization_id, services = exchange.known_caller.organization_id, self._services
        own = running(await instances(services.dedicated, organization_id), services.clock())
        await self._shell.show(
            exchange,
            "speech.html",
            models=names(services.catalogue(), organization_id, "speech", own),
            projects=await active(services.access.projects, organization_id),
            languages=sorted(NAMES.items(), key=lambda one: one[1]),
            most_bytes=services.settings.upload_bytes,
            most_seconds=services.settings.audio_seconds,
        )
