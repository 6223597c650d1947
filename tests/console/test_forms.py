"""Forms of the console."""

from __future__ import annotations

import pytest

from antiphon.console.forms import Form
from antiphon.errors import InvalidRequest
from console_service import House


def test_fields_are_text_lists_or_numbers() -> None:
    form = Form({"name": [" a "], "scopes": ["x", "y"], "days": ["30"], "none": [""], "bad": ["-1"]})
    assert (form.text("name"), form.secret("name"), form.every("scopes")) == ("a", " a ", ["x", "y"])
    assert (form.number("days"), form.number("none"), form.number("missing")) == (30, None, None)
    assert "name" in form and "missing" not in form
    with pytest.raises(InvalidRequest, match="'bad' must be a whole number"):
        form.number("bad")


def test_a_choice_is_one_of_some() -> None:
    form = Form({"role": ["reader"]})
    assert form.choice("role", ("owner", "reader")) == "reader"
    for name, choices in (("role", ("owner",)), ("missing", ("owner",))):
        with pytest.raises(InvalidRequest, match=f"'{name}' must be one of owner"):
            form.choice(name, choices)


async def test_what_is_no_form_or_too_large_is_refused(house: House) -> None:
    async with house.visitor("owner") as visitor:
        await visitor.seen("/keys")
        _, text = await visitor.call("POST", "/keys/create", json={})
        assert "A form is sent as" in text
        status, _ = await visitor.post("/keys/create", {"name": "x" * 300_000})
        assert status == 303 and visitor.location == "/keys"
        status, _ = await visitor.post("/keys/create", {f"n{i}": "x" for i in range(600)})
        assert "cannot be read" in await visitor.seen(visitor.location)
