"""Forms of the console, read: small, each name once unless it is a list, and from its own pages alone."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import parse_qs

from antiphon.api.exchange import Exchange
from antiphon.errors import Forbidden, InvalidRequest, UnsupportedMediaType

T = TypeVar("T", bound=str)
LIMIT = 256 * 1024
"""Bytes of a form."""
FIELDS = 500
PROOF = "csrf"
"""The field that proves from which session's page a form comes."""
_KIND = "application/x-www-form-urlencoded"


class Form:
    """What was filled in. Missing fields are empty."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self._fields = fields

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def text(self, name: str) -> str:
        """Without blanks around it."""
        return self._fields.get(name, [""])[-1].strip()

    def secret(self, name: str) -> str:
        """As it was typed."""
        return self._fields.get(name, [""])[-1]

    def every(self, name: str) -> list[str]:
        return self._fields.get(name, [])

    def choice(self, name: str, choices: Sequence[T]) -> T:
        """One of these. Raises `InvalidRequest`."""
        for one in choices:
            if one == self.text(name):
                return one
        raise InvalidRequest(f"'{name}' must be one of {', '.join(choices)}.", param=name)

    def number(self, name: str) -> int | None:
        """A whole number; None where nothing was filled in. Raises `InvalidRequest`."""
        said = self.text(name)
        if not said:
            return None
        if not said.isascii() or not said.isdigit() or len(said) > 18:
            raise InvalidRequest(f"'{name}' must be a whole number.", param=name)
        return int(said)


async def read(exchange: Exchange, proof: str | None) -> Form:
    """The form that was sent. `proof` is what its field `PROOF` must be; None where nobody is signed in.

    Raises `Forbidden`, `InvalidRequest`, `TooLarge` or `UnsupportedMediaType`.
    """
    kind = exchange.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _KIND:
        raise UnsupportedMediaType(f"A form is sent as {_KIND}.")
    content = b"".join([piece async for piece in exchange.body(LIMIT)])
    try:
        fields = parse_qs(content.decode(), keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError:
        raise InvalidRequest("This form cannot be read.") from None
    form = Form(fields)
    if proof is not None and not hmac.compare_digest(form.secret(PROOF).encode(), proof.encode()):
        raise Forbidden(
            "The form is not of this session. Load the page again, and send it then.", code="csrf"
        )
    return form
