"""Query strings: what is taken, and what each refusal names."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated, Any, Literal

import msgspec
import pytest

from antiphon.api import query
from antiphon.errors import InvalidRequest


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    all: bool = False
    names: list[str] = []
    groups: Annotated[list[Literal["a", "b"]], msgspec.Meta(max_length=3)] = []
    gte: int | None = msgspec.field(default=None, name="at[gte]")
    tags: Annotated[dict[str, str], msgspec.Meta(max_length=2)] = {}


def read(text: str) -> Wanted:
    exchange: Any = SimpleNamespace(query=text.encode())
    return query.read(exchange, Wanted)


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("", Wanted()),
        ("after=x%2Fy&limit=5&all=true", Wanted(after="x/y", limit=5, all=True)),
        ("after=", Wanted(after="")),
        ("names[]=a&names[]=b", Wanted(names=["a", "b"])),
        ("names%5B%5D=a&names=b", Wanted(names=["a", "b"])),
        ("names=a%20b+c", Wanted(names=["a b c"])),
        ("groups=a&groups=b", Wanted(groups=["a", "b"])),
        ("at[gte]=7", Wanted(gte=7)),
        ("at%5Bgte%5D=-7", Wanted(gte=-7)),
        ("names=%C3%A9", Wanted(names=["é"])),
        ("tags[a]=1&tags%5Bb%20c%5D=2", Wanted(tags={"a": "1", "b c": "2"})),
        ("tags[a][b]=1&tags[]=", Wanted(tags={"a][b": "1", "": ""})),
    ],
)
def test_what_is_taken(text: str, wanted: Wanted) -> None:
    assert read(text) == wanted


@pytest.mark.parametrize(
    "text, param, code",
    [
        ("other=1", "other", "unknown_parameter"),
        ("other[a]=1", "other[a]", "unknown_parameter"),
        ("tags=1", "tags", None),
        ("tags=1&tags[a]=1", "tags", None),
        ("tags[a]=1&tags=1", "tags", None),
        ("tags[a=1", "tags", None),
        ("tags[a]=1&tags[a]=1", "tags[a]", None),
        ("tags[a]=1&tags[b]=1&tags[c]=1", "tags", "invalid_value"),
        ("after[]=x", "after[]", "unknown_parameter"),
        ("limit=0", "limit", "invalid_value"),
        ("limit=101", "limit", "invalid_value"),
        ("limit=ten", "limit", "invalid_type"),
        ("limit=1&limit=2", "limit", None),
        ("all=maybe", "all", "invalid_type"),
        ("groups=c", "groups[0]", "invalid_value"),
        ("groups=a&groups=a&groups=a&groups=a", "groups", "invalid_value"),
        ("after=%00", "after", None),
        ("names=a%0Ab", "names", None),
        ("at[gte]=soon", "at[gte]", "invalid_type"),
        ("after=%FF", None, None),
        ("after", None, None),
        ("é=1", None, None),
        ("&".join(["names=a"] * (query.PAIRS + 1)), None, None),
    ],
)
def test_what_is_refused(text: str, param: str | None, code: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(text)
    assert (caught.value.param, caught.value.code) == (param, code)
