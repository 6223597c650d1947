"""What has to be said where others serve a model: where that is, in which form, how long a prompt is.

They are values like all others, and imported from `values`.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Site(msgspec.Struct, frozen=True):
    """Where others serve a model, by OpenAI's API: at each URL, as far as its version (`/v1`) as a rule.

    `model` is what it is called there; `key_file` holds the key that is shown there, if there is one.
    """

    urls: tuple[str, ...]
    model: str
    key_file: str = ""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A form as the API says it, for engines that speak the API."""

    functions: tuple[str, ...] = ()
    """The names of those that may be called."""
    must: bool = False
    """Whether one of them has to be."""
    several: bool = True
    """Whether several may be called at once."""
    schema: Any = None
    """Of the JSON that an answer is which calls nothing; None if that is free."""
    strict: bool = False


class Prompt(msgspec.Struct, frozen=True):
    """What the model reads, as text and as tokens: a rendered conversation, or a text as it was sent.

    An engine that cannot read it before it answers gives neither, and says `about` how many tokens it has,
    and how many `at_most`.
    """

    text: str
    tokens: tuple[int, ...]
    about: int | None = None
    at_most: int | None = None

    @property
    def counted(self) -> bool:
        """Whether its length is known before it is answered."""
        return self.about is None

    @property
    def length(self) -> int:
        """In tokens, as well as it is known."""
        return len(self.tokens) if self.about is None else self.about

    @property
    def longest(self) -> int:
        """The most tokens that it can have."""
        return self.length if self.at_most is None else self.at_most
