from __future__ import annotations

import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES

from antiphon.api import languages
from antiphon.errors import InvalidRequest


def test_the_table_is_whispers() -> None:
    assert set(languages.NAMES) == set(_LANGUAGE_CODES)
    assert len(set(languages.NAMES.values())) == len(languages.NAMES)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("en", "en"),
        ("EN", "en"),
        (" German ", "de"),
        ("jv", "jw"),
        ("haitian creole", "ht"),
        ("mandarin", "zh"),
    ],
)
def test_a_language_is_given_by_code_or_name(given: str, code: str) -> None:
    assert languages.code(given) == code


@pytest.mark.parametrize("given", ["", "xx", "en-US", "klingon", "<|en|>"])
def test_what_whisper_lacks_is_refused(given: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        languages.code(given)
    assert refusal.value.param == "language"


def test_names_are_english_and_lower_case() -> None:
    assert languages.name("de") == "german"
    assert languages.name("zz") == "zz"
