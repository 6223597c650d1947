from __future__ import annotations

import json
from pathlib import Path

from antiphon.console.documentation import outline, search
from antiphon.console.documentation.addresses import Written
from antiphon.console.documentation.rendering import Renderer, Section


def test_every_section_is_in_the_index_once(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/README.md").write_text("# All\n\n## Guides\n\n| [One](one.md) | first |\n")
    (tmp_path / "docs/one.md").write_text("# One\n\nWords.\n\n## Part\n\nMore `</script>` words.\n")
    whole = outline.read(tmp_path)
    renderer = Renderer(whole, Written())
    rendered = [(page, renderer.render(page)) for page in whole.pages]
    made = search.index(whole, rendered, Written(), [Section(2, "ask", "POST /v1/ask", "Ask.")])
    before, _, rest = made.decode().partition(" = ")
    assert before == "globalThis.documentationIndex" and rest.endswith(";\n")
    found = json.loads(rest.removesuffix(";\n"))
    assert found["pages"] == [["One", "Guides", "one.html"], ["API reference", "", "api.html"]]
    assert found["sections"] == [
        [0, "", "One", "Words."],
        [0, "part", "Part", "More </script> words."],
        [1, "", "API reference", ""],
        [1, "ask", "POST /v1/ask", "Ask."],
    ]


def test_a_page_that_is_made_elsewhere_is_read_by_its_sections() -> None:
    html = """<section id="ask"><h2><b>POST</b> /v1/ask</h2><p>Ask &amp; wait.</p><i>max_tokens</i>
</section><p>between</p><section id="errors"><h2>Errors</h2>Shapes.</section>"""
    found = search.sections(html, [("ask", "POST /v1/ask"), ("errors", "Errors"), ("none", "None")])
    assert [(one.id, one.title, one.text) for one in found] == [
        ("ask", "POST /v1/ask", "Ask & wait. max_tokens"),
        ("errors", "Errors", "Shapes."),
        ("none", "None", ""),
    ]
