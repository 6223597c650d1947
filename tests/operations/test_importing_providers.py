from __future__ import annotations

import pytest

from antiphon.engines import remote
from antiphon.operations.importing.providers import COMPLETIONS, HERE, OTHERS, SPEAK, split


@pytest.mark.parametrize(
    ("model", "said", "elsewhere", "found"),
    [
        ("groq/llama", None, False, ("groq", "llama")),
        ("llama", "groq", False, ("groq", "llama")),
        ("groq/llama", "groq", False, ("groq", "llama")),
        ("openai/gpt", "groq", False, ("groq", "openai/gpt")),
        ("o3-mini", None, False, ("openai", "o3-mini")),
        ("gemini-2.0", None, False, ("gemini", "gemini-2.0")),
        ("org/model", None, True, ("openai", "org/model")),
        ("org/model", None, False, ("", "org/model")),
    ],
)
def test_the_provider_is_told_from_the_name(
    model: str, said: str | None, elsewhere: bool, found: tuple[str, str]
) -> None:
    assert split(model, said, elsewhere=elsewhere) == found


def test_each_provider_is_of_one_kind_and_has_an_address_that_can_be_asked() -> None:
    kinds = [set(SPEAK), HERE, COMPLETIONS, OTHERS]
    assert sum(map(len, kinds)) == len(set().union(*kinds))
    for provider in SPEAK.values():
        assert not provider.url or remote.origin(provider.url)
        assert not provider.variable or provider.url.startswith("https://"), "no key over plain HTTP"
