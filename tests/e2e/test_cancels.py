"""Sixty clients, most of whom leave at a random moment: no answer has a letter of another's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from benchmarks.cancels import SETTINGS, Case, run
from benchmarks.processes import Server, antiphon

from alone import alone

CASES = 60
FIRST = 1_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with antiphon(alone(tmp_path_factory.mktemp("cancels"), "gpt-3.5-turbo"), SETTINGS) as started:
        yield started


@pytest.mark.requirement("R24")
async def test_nobody_is_told_what_is_another_s_and_no_place_leaks(server: Server) -> None:
    found = await run(server, FIRST, CASES)
    assert sum(found.values()) == CASES
    assert found["whole"] and found["left midway"]


def test_a_foreign_letter_is_seen() -> None:
    case = Case(7)
    case.check(f'{{"word": "{case.word[:9]}', whole=False)
    case.check(f'{{"word": "{case.word}"}}', whole=True)
    for told, whole in ((f'{{"word": "{case.word[:9]}', True), ('{"word": "?', False), ("", True)):
        with pytest.raises(AssertionError, match="seed 7"):
            case.check(told, whole=whole)
