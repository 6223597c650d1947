"""What is kept of the organization, made into a ZIP file in the background, and given to who asked for it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from antiphon.api.exchange import PIECE, Exchange
from antiphon.api.routes import Route
from antiphon.console.forms import Form
from antiphon.console.jobs import Job, forget_erased
from antiphon.console.services import Pages, Services
from antiphon.console.shell import Shell
from antiphon.errors import ClientGone, InvalidRequest, StorageFull
from antiphon.operations.exporting import Exported, Exporter
from antiphon.values import Caller

EXPORT = "export"
MOST_BYTES = 4 << 30
"""Of content, in one export from the console."""
ROOM = 1 << 30
"""Bytes that an export leaves free on the disk."""
_FILE = "export.zip"
_LOOKS = 100
"""Requests between two looks at how much there is."""


class ExportPages(Pages):
    def __init__(self, shell: Shell, services: Services) -> None:
        super().__init__(shell, services)
        self._jobs = services.jobs

    def rows(self) -> list[Route]:
        act = self._shell.act
        return [
            act("/data/export", self.start, "org.write", "Make an export of what is kept."),
            act("/data/export/delete", self.delete, "org.write", "Delete the export from the server."),
            self._shell.page("/data/export", self.state, "org.write", "How the export goes."),
            self._shell.page("/data/export/{job_id}", self.download, "org.write", "The export, as ZIP file."),
        ]

    async def start(self, exchange: Exchange, form: Form) -> None:
        caller = exchange.known_caller
        await self._jobs.remove(EXPORT, by=caller)
        await self._jobs.start(EXPORT, lambda job: self._export(job, caller), by=caller)
        await self._shell.go(exchange, "/data")

    async def state(self, exchange: Exchange) -> None:
        await exchange.answer_json(await self._jobs.latest(EXPORT, by=exchange.known_caller))

    async def delete(self, exchange: Exchange, form: Form) -> None:
        await self._jobs.remove(EXPORT, by=exchange.known_caller)
        await self._shell.go(exchange, "/data", "The export is deleted from the server.")

    async def download(self, exchange: Exchange) -> None:
        # Another machine over the same database may have erased it, which cannot reach this folder.
        await forget_erased(self._services.database, self._jobs.root)
        path = await self._jobs.file(exchange.parameters["job_id"], by=exchange.known_caller)
        size = (await asyncio.to_thread(path.stat)).st_size
        day = datetime.fromtimestamp(self._services.clock(), UTC)
        headers = {
            "content-disposition": f'attachment; filename="antiphon-export-{day:%Y-%m-%d}.zip"',
            "cache-control": "no-store",
        }
        await exchange.answer_pieces(_pieces(path), size, "application/zip", headers)

    async def _export(self, job: Job, by: Caller) -> None:
        folder = job.folder / "content"

        def show(so_far: Exported) -> None:
            job.state.done = so_far.requests
            if so_far.requests % _LOOKS == 1:
                _check_room(folder)

        exporter = Exporter(self._services.database, self._services.content, self._services.clock, show)
        try:
            found = await exporter.of_organization(by.organization_id, folder, by=by)
            job.state.size = await asyncio.to_thread(_zipped, folder, job)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, True)
        job.state.file = _FILE
        left_out = found.missing + found.unreadable
        job.state.said = f"{found.requests:,} requests and {found.recordings:,} recordings are in the export."
        if left_out:
            job.state.said += f" {left_out:,} could not be read and were left out: the operator can tell why."
            job.state.bad = True


def _check_room(folder: Path) -> None:
    """Raise where an export grows too large, for what it may be or for the disk."""
    if sum(path.stat().st_size for path in folder.rglob("*")) > MOST_BYTES:
        raise InvalidRequest("There is too much for a download: the operator runs `antiphon data export`.")
    if shutil.disk_usage(folder).free < ROOM:
        raise StorageFull("There is not enough room on the server for the export.")


def _zipped(folder: Path, job: Job) -> int:
    """Move what is in `folder` into a ZIP file; its size in bytes."""
    target = job.folder / _FILE
    with ZipFile(target, "w") as archive:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            if job.stopped:
                raise ClientGone("The server ends.")
            packed = ZIP_DEFLATED if path.suffix == ".jsonl" else ZIP_STORED
            archive.write(path, path.relative_to(folder), packed)
            path.unlink()
    target.chmod(0o600)
    return target.stat().st_size


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    """The file, for as long as it is there: what is deleted meanwhile is broken off."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(file.read, 4 * PIECE):
            if not os.fstat(file.fileno()).st_nlink:
                raise ClientGone("The export was deleted.")
            yield piece
    finally:
        await asyncio.to_thread(file.close)
