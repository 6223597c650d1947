"""Checks of what is installed and configured: settings, libraries, database, models."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version

from sqlalchemy.engine import make_url

from antiphon.catalogue import catalogue
from antiphon.catalogue.choices import choices
from antiphon.catalogue.entries import Entry, PackageSource
from antiphon.catalogue.store import ModelStore
from antiphon.cli.checks import Finding
from antiphon.settings import Settings
from antiphon.storage import migrations, sqlite
from antiphon.storage.database import Database

LIBRARIES = {
    "xllamacpp": "xllamacpp",
    "ctranslate2": "ctranslate2",
    "av": "av",
    "faster_whisper": "faster-whisper",
}
"""The module that is imported, and the package that brings it."""
IMPORT_SECONDS = 60.0


def sqlite_version(settings: Settings) -> Finding:
    module = sqlite.safe(sqlite.installed())
    return Finding("ok", f"SQLite {module.sqlite_version} ({module.__name__})")


def libraries(settings: Settings) -> Finding:
    """Whether the engines' libraries can be imported: each in a process of its own, since a wheel that was
    built for another processor ends the process that imports it."""
    with ThreadPoolExecutor() as pool:
        failures = [text for text in pool.map(_failure, LIBRARIES) if text]
    if failures:
        return Finding("problem", "; ".join(failures), "install Antiphon anew, on a supported Python")
    return Finding("ok", ", ".join(f"{package} {version(package)}" for package in LIBRARIES.values()))


def _failure(module: str) -> str:
    try:
        version(LIBRARIES[module])
    except PackageNotFoundError:
        return f"{LIBRARIES[module]} is not installed"
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"import {module}"], capture_output=True, timeout=IMPORT_SECONDS, text=True
        )
    except subprocess.TimeoutExpired:
        return f"{module} was not imported within {IMPORT_SECONDS:.0f} s"
    if done.returncode == 0:
        return ""
    if done.returncode < 0:
        return f"{module} cannot be imported ({signal.Signals(-done.returncode).name})"
    last_line = done.stderr.strip().rpartition("\n")[2]
    return f"{module} cannot be imported ({last_line})"


def database(settings: Settings) -> Finding:
    """Whether the database is at this version's revision. A file that is not there yet is not made."""
    place = make_url(settings.database_url)
    if place.get_backend_name() == "sqlite" and not (settings.home_path / (place.database or "")).exists():
        return Finding("ok", f"{place.database} is made at the first start")
    found = asyncio.run(_state(settings.database_url))
    if found.current:
        return Finding("ok", f"revision {found.revision}")
    if found.missing:
        lost = f"revision {found.revision}, but without {', '.join(found.missing)}"
        return Finding("problem", lost, "restore a whole backup")
    if found.ours:
        upgraded = "the next `antiphon serve` or `antiphon db upgrade` upgrades it"
        return Finding("warning", f"revision {found.revision}, wanted {found.head}", upgraded)
    return Finding(
        "problem", f"revision {found.revision} is not known", "start the newer version that wrote it"
    )


async def _state(url: str) -> migrations.State:
    async with Database(url) as opened:
        return await migrations.state(opened)


def models(settings: Settings) -> Finding:
    """Whether what `serve` wants to serve from here is there, every file with its sha256."""
    found, store = catalogue.load(settings.home_path), ModelStore(settings.home_path)
    wanted = [entry for id in sorted(found.wanted) if (entry := found.entries[id]).site is None]
    for entry in wanted:
        if entry.id in found.installed:
            store.verify(entry)
    absent = [entry for entry in wanted if entry.id not in found.installed and not _at_hand(entry)]
    if absent:
        pulls = "; ".join(f"antiphon models pull {entry.id}" for entry in absent)
        return Finding("problem", f"not installed: {', '.join(entry.id for entry in absent)}", pulls)
    states = [f"{e.id} {'verified' if e.id in found.installed else 'at the first start'}" for e in wanted]
    return Finding("ok", ", ".join(states))


def engines(settings: Settings) -> Finding:
    """Which engine serves each model on this machine, and why."""
    found, store = catalogue.load(settings.home_path), ModelStore(settings.home_path)
    told = [
        f"{id}: " + ", ".join(f"{one.kind.name} ({one.why})" for one in choices(entry, store, settings))
        for id, entry in sorted(found.entries.items())
        if id in found.wanted
    ]
    return Finding("ok", "; ".join(told))


def _at_hand(entry: Entry) -> bool:
    """Whether `serve` installs it by itself: from packages of data that are here."""
    if not isinstance(entry.source, PackageSource):
        return False
    try:
        for requirement in entry.source.requires:
            version(requirement.partition("==")[0])
    except PackageNotFoundError:
        return False
    return True
