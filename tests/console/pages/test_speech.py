"""The page on which recordings are understood, as the server writes it."""

from __future__ import annotations

from pathlib import Path

from console_service import House, console_house


async def test_models_languages_and_limits(tmp_path: Path, migrated_sqlite: Path) -> None:
    few = {"upload_bytes": 5 * 1024 * 1024, "audio_seconds": 600.0}
    async with console_house(tmp_path, migrated_sqlite, **few) as house, house.visitor("member") as visitor:
        text = await visitor.seen("/speech")
        assert '<option value="whisper-1" data-snapshot="whisper-base-2022-09-21"' in text
        assert 'data-second="100000"' in text and "gpt-3.5-turbo" not in text
        assert '<option value="de">German</option>' in text and "found by listening" in text
        assert "at most 5 MiB, and 10 minutes" in text and f'data-bytes="{5 * 1024 * 1024}"' in text
        assert "/console/speech.js" in text


async def test_a_reader_is_told_why_not_and_who_changes_it(house: House) -> None:
    async with house.visitor("reader") as visitor:
        text = await visitor.seen("/speech")
        assert "Your role is reader" in text and 'href="/members"' in text
        assert "speech.js" not in text and 'type="file"' not in text


async def test_without_a_project_there_is_nothing_to_bill(house: House) -> None:
    await house.world.access.projects.archive(house.organization.id, house.project.id, by=None)
    async with house.visitor("owner") as visitor:
        text = await visitor.seen("/speech")
        assert "No project yet" in text and "speech.js" not in text


async def test_an_instance_of_ones_own_is_paid_by_the_hour(house: House) -> None:
    async with house.visitor("member") as visitor:
        assert "data-instance" not in await visitor.seen("/speech")
        await house.reserve(name="<nights>")
        text = await visitor.seen("/speech")
        assert 'data-instance="“&lt;nights&gt;”" data-hour="1500000000">' in text
        await house.reserve(name="days", spill_over=True)
        assert 'data-hour="3000000000" data-spills>' in await visitor.seen("/speech")
