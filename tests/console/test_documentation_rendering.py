from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.console.documentation import outline
from antiphon.console.documentation.addresses import Addresses, Served, Written
from antiphon.console.documentation.rendering import Rendered, Renderer, slug

PAGE = """# The *first* page

Before any heading, with `code`.

## Why, and how?

To [two](why/two.md#so), to [a heading](#why-and-how), [elsewhere](https://example.org/a.md),
to [code](../src/x.py),
to [data](data.json). ![A picture](images/one.png)

```python example
print("<hello>")
```

## Why, and how?

| Name | Count |
|---|---:|
| a | 1 |

<b>not ours</b>
"""


def rendered(tmp_path: Path, addresses: Addresses, text: str = PAGE) -> Rendered:
    files = {
        "README.md": "## All\n\n| [One](one.md) | first |\n\n1. [Two](why/two.md)\n",
        "one.md": text,
        "why/two.md": "# Two\n\n[back](../one.md), [out](../../SECRET.md)\n",
        "images/one.png": "",
        "data.json": "{}",
    }
    for name, content in files.items():
        path = tmp_path / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    whole = outline.read(tmp_path)
    return Renderer(whole, addresses).render(whole.by_file["docs/one.md"])


@pytest.mark.parametrize(
    ("addresses", "two", "picture", "data"),
    [
        (Served(), "/docs/why/two#so", "/docs/images/one.png", "/docs/data.json"),
        (Written(), "why/two.html#so", "images/one.png", "data.json"),
    ],
)
def test_links_lead_into_the_site(
    tmp_path: Path, addresses: Addresses, two: str, picture: str, data: str
) -> None:
    html = rendered(tmp_path, addresses).html
    assert f'<a href="{two}">two</a>' in html and f'<a href="{data}">data</a>' in html
    assert f'src="{picture}"' in html and 'alt="A picture"' in html
    assert '<a href="https://example.org/a.md">' in html and '<a href="#why-and-how">' in html
    assert ",\nto code,\n" in html, "what is not in the site is no link"


def test_headings_can_be_linked_to_and_searched(tmp_path: Path) -> None:
    found = rendered(tmp_path, Served())
    assert found.title == "The first page"
    assert [(one.level, one.id, one.title) for one in found.sections] == [
        (1, "", "The first page"),
        (2, "why-and-how", "Why, and how?"),
        (2, "why-and-how-1", "Why, and how?"),
    ]
    first, second, third = (one.text for one in found.sections)
    assert first == "Before any heading, with code."
    assert 'print("<hello>")' in second and third.startswith("Name Count a 1")
    assert 'href="#why-and-how-1" aria-label="Link to “Why, and how?”"' in found.html


def test_pages_keep_to_the_content_security_policy(tmp_path: Path) -> None:
    html = rendered(tmp_path, Served()).html
    assert "style=" not in html and '<td class="right">1</td>' in html


def test_code_and_tables_can_be_scrolled_by_keys(tmp_path: Path) -> None:
    html = rendered(tmp_path, Served()).html
    assert '<div class="code" data-language="python"><pre tabindex="0"><code>' in html
    assert "&lt;hello&gt;" in html
    assert '<div class="scroll" tabindex="0" role="group" aria-label="Table">' in html


def test_a_heading_of_code_is_named_as_it_is_read() -> None:
    assert slug("`antiphon keys create`, twice!") == "antiphon-keys-create-twice"
