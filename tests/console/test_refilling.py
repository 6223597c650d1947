"""Pages with a form filled in again."""

from __future__ import annotations

import pytest

from antiphon.console.forms import Form
from antiphon.console.refilling import refilled

PAGE = """<main>
<details class="card"><summary>More</summary>
<form method="post" action="/things/create">
<input type="hidden" name="csrf" value="abc">
<input name="name" value="old &amp; gone" required><input name="code" type="password" value="">
<select name="kind"><option value="a" selected>A</option><option value="b">B</option>
<option>C</option></select>
<textarea name="text" rows="2">before &lt;it&gt;</textarea>
<input type="checkbox" name="uses" value="x" checked><input type="checkbox" name="uses" value="y">
<input type="radio" name="way" value="1"><input name="untouched" value="kept">
<button name="go">Make</button>
</form></details>
<form action="/things/rename"><input type="hidden" name="id" value="1"><input name="name" value="one"></form>
<form action="/things/rename"><input type="hidden" name="id" value="2"><input name="name" value="two"></form>
<form action="/things/note"><input name="text" value="">
<button formaction="/things/close">Close</button></form>
</main>
"""
SENT = Form(
    {
        "csrf": ["other"],
        "name": [' "new" <b> '],
        "code": ["secret"],
        "kind": ["C"],
        "text": ["\nlines & lines"],
        "uses": ["y"],
        "way": ["1"],
    }
)


def test_every_kind_of_field_holds_what_was_sent() -> None:
    made = refilled(PAGE, "/things/create", SENT, "name")
    assert '<input name="name" value=" &quot;new&quot; &lt;b&gt; " required aria-invalid="true">' in made
    assert '<option value="a">A</option>' in made and "<option selected>C</option>" in made
    assert '<textarea name="text" rows="2">\n\nlines &amp; lines</textarea>' in made
    assert 'name="uses" value="x">' in made and 'name="uses" value="y" checked>' in made
    assert 'name="way" value="1" checked>' in made and 'name="untouched" value="kept">' in made
    assert '<details class="card" open>' in made, "what is folded away is opened"


def test_what_is_secret_or_proves_something_stays_as_the_page_has_it() -> None:
    made = refilled(PAGE, "/things/create", SENT)
    assert "secret" not in made and 'value="other"' not in made and 'name="csrf" value="abc"' in made


def test_the_rest_of_the_page_stays_as_it_is() -> None:
    before, _, rest = PAGE.partition("<details")
    made = refilled(PAGE, "/things/create", SENT)
    assert made.startswith(before) and made.endswith(rest.partition("</details>")[2])
    assert refilled(PAGE, "/elsewhere", SENT) == PAGE


@pytest.mark.parametrize(("id", "left"), [("1", "two"), ("2", "one")])
def test_hidden_fields_tell_forms_apart(id: str, left: str) -> None:
    made = refilled(PAGE, "/things/rename", Form({"id": [id], "name": ["new"]}))
    assert f'value="{id}"><input name="name" value="new">' in made and f'value="{left}"' in made
    assert refilled(PAGE, "/things/rename", Form({"id": ["3"], "name": ["new"]})) == PAGE


def test_a_form_with_two_buttons_is_found_by_either() -> None:
    for action in ("/things/note", "/things/close"):
        made = refilled(PAGE, action, Form({"text": ["said"]}))
        assert '<form action="/things/note"><input name="text" value="said">' in made
