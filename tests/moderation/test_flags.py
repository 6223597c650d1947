from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from antiphon.errors import InvalidRequest, NotFound
from antiphon.moderation import flags
from antiphon.moderation.flags import DAY, Flag
from antiphon.moderation.policy import Found
from antiphon.storage.database import Database
from tenants import START, World


class Book:
    """The flags of a database with two organizations."""

    def __init__(self, database: Database, ours: str, theirs: str) -> None:
        self.database, self.ours, self.theirs = database, ours, theirs

    async def do(self, function: Any, *arguments: Any, **named: Any) -> Any:
        async with self.database.begin() as connection:
            return await connection.run_sync(partial(function, **named), *arguments)

    async def add(
        self,
        name: str,
        *findings: Found,
        at: int = START,
        organization: str = "",
        category: str = "hate",
    ) -> Flag:
        raised = Flag(
            id=flags.id_of(at, name),
            organization_id=organization or self.ours,
            request_id=name,
            category=category,
            score=0.75,
            findings=[*(findings or [Found("input", category, 0.75, "rules")])],
            action="alert",
            created_at=at,
        )
        assert await self.do(flags.add, raised)
        return raised


@pytest.fixture
async def book(database: Database) -> Book:
    world = World(database)
    return Book(database, (await world.organization("acme")).id, (await world.organization("globex")).id)


async def test_a_flag_is_read_as_it_was_raised_and_raised_once(book: Book) -> None:
    raised = await book.add("req_1")
    assert await book.do(flags.get, book.ours, raised.id) == raised
    assert await book.do(flags.add, raised) is False
    for organization in (book.theirs, "org-none"):
        with pytest.raises(NotFound):
            await book.do(flags.get, organization, raised.id)
    assert raised.status == "open" and flags.id_of(START, "req_1") == raised.id != flags.id_of(START, "req_2")


async def test_they_are_listed_by_status_and_category_the_newest_first(book: Book) -> None:
    made = [await book.add(f"req_{at}", at=START + at) for at in range(4)]
    other = await book.add("req_9", organization=book.theirs, category="sexual", at=START + 9)
    await book.do(flags.appeal, book.ours, made[1].id, "No.", by=None, now=START)
    await book.do(flags.resolve, made[2].id, "upheld", "", now=START)

    async def listed(organization: str | None, **which: Any) -> tuple[list[str], bool]:
        found, more = await book.do(flags.listed, organization, **which)
        return [one.id for one in found], more

    ids = [one.id for one in made]
    assert await listed(book.ours) == (ids[::-1], False)
    assert await listed(None, limit=2) == ([other.id, ids[3]], True)
    assert await listed(book.ours, after=ids[2]) == ([ids[1], ids[0]], False)
    assert await listed(book.ours, before=ids[0], limit=2) == ([ids[2], ids[1]], True)
    assert await listed(book.ours, before=ids[2]) == ([ids[3]], False)
    assert (await listed(book.ours, status="open"))[0] == [ids[3], ids[0]]
    assert (await listed(book.ours, status="appealed"))[0] == [ids[1]]
    assert (await listed(book.ours, status="resolved"))[0] == [ids[2]]
    assert (await listed(None, category="sexual"))[0] == [other.id]


async def test_an_appeal_is_made_once_and_answered(book: Book) -> None:
    raised = await book.add("req_1")
    for wrong in ("", "x" * 4001, "a\0b"):
        with pytest.raises(InvalidRequest, match="text"):
            await book.do(flags.appeal, book.ours, raised.id, wrong, by=None, now=START)
    appealed = await book.do(flags.appeal, book.ours, raised.id, "It was a quote.", by="key_1", now=START + 5)
    assert (appealed.status, appealed.appeal, appealed.appealed_at) == (
        "appealed",
        "It was a quote.",
        START + 5,
    )
    with pytest.raises(InvalidRequest, match="appealed already"):
        await book.do(flags.appeal, book.ours, raised.id, "Again.", by=None, now=START)
    with pytest.raises(InvalidRequest, match="needs an answer"):
        await book.do(flags.resolve, raised.id, "dismissed", "", now=START)
    over = await book.do(flags.resolve, raised.id, "dismissed", "You are right.", now=START + 9)
    assert (over.status, over.outcome, over.answer, over.resolved_at) == (
        "resolved", "dismissed", "You are right.", START + 9,
    )  # fmt: skip
    for function, words in (
        (flags.appeal, (book.ours, raised.id, "No.")),
        (flags.resolve, (raised.id, "upheld", "")),
    ):
        more = {"by": None} if function is flags.appeal else {}
        with pytest.raises(InvalidRequest, match="resolved already"):
            await book.do(function, *words, now=START, **more)


async def test_scores_of_flags_of_a_day_are_read_without_those_that_were_dismissed(book: Book) -> None:
    made = [await book.add(f"req_{at}", at=START + at) for at in range(3)]
    await book.add("req_8", at=START - DAY)
    await book.add("req_9", organization=book.theirs)
    await book.do(flags.resolve, made[0].id, "dismissed", "", now=START)
    await book.do(flags.resolve, made[1].id, "upheld", "", now=START)
    weak, strong = Found("output", "sexual", 0.2, "rules"), Found("input", "sexual", 0.9, "rules")
    await book.add("req_5", strong, weak, Found("input", "hate", 0.3, "rules"), at=START + 5)
    found = await book.do(flags.scores, book.ours, START + 10)
    assert {name: sorted(scores) for name, scores in found.items()} == {
        "hate": [0.3, 0.75, 0.75], "sexual": [0.9],
    }  # fmt: skip
