"""What a folder says of its vocabulary and its template, in all the ways in which folders say it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from antiphon.tokens import folder as folders
from antiphon.tokens.folder import document, read
from hugging_face import write_json, write_tiny
from tiny_models import TEMPLATE


def told(folder: Path, name: str, **changed: Any) -> None:
    """Change values of one file; None takes one away."""
    values = json.loads((folder / name).read_text()) | changed
    write_json(folder, name, {key: value for key, value in values.items() if value is not None})


def test_the_facts_of_a_folder(tmp_path: Path) -> None:
    facts = read(write_tiny(tmp_path))
    assert facts.size == 288 and facts.ends == {0, 2}
    assert set(facts.specials) == {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool>"}
    assert facts.visible == {"<tool>": facts.specials["<tool>"]}
    assert (facts.bos, facts.eos, facts.template) == ("<|im_start|>", "<|im_end|>", TEMPLATE)
    assert not facts.adds_bos


def test_a_template_of_its_own_file_goes_first(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("of its own")
    assert read(tmp_path).template == "of its own"


def test_of_several_templates_the_usual_one_is_taken(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    several = [{"name": "rag", "template": "a"}, {"name": "default", "template": "b"}, 3]
    told(tmp_path, "tokenizer_config.json", chat_template=several)
    assert read(tmp_path).template == "b"
    told(tmp_path, "tokenizer_config.json", chat_template=[])
    assert read(tmp_path).template == ""


def test_how_answers_end(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    told(tmp_path, "config.json", eos_token_id=[7, 300])
    (tmp_path / "generation_config.json").unlink()
    assert read(tmp_path).ends == {0, 2, 7}, "as it says, by its names, and only of what there is"
    told(tmp_path, "tokenizer_config.json", eos_token="<tool>")
    assert read(tmp_path).specials["<tool>"] in read(tmp_path).ends


def test_how_a_text_begins(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    mark = {"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}
    template = {"type": "TemplateProcessing", "single": [mark, {"Sequence": {"id": "A", "type_id": 0}}]}
    for processor, adds in (
        (template, True),
        ({"type": "Sequence", "processors": [{"type": "ByteLevel"}, template]}, True),
        ({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}, mark]}, False),
        ({"type": "TemplateProcessing", "single": "?"}, False),
        ({"type": "ByteLevel"}, False),
    ):
        told(tmp_path, "tokenizer.json", post_processor=processor)
        assert read(tmp_path).adds_bos is adds
    told(tmp_path, "tokenizer_config.json", add_bos_token=True)
    assert read(tmp_path).adds_bos
    told(tmp_path, "tokenizer_config.json", add_bos_token=None, bos_token=None)
    assert not read(tmp_path).adds_bos and read(tmp_path).bos == ""


@pytest.mark.parametrize(
    ("name", "changed", "reason"),
    [
        ("config.json", {"vocab_size": None}, "how many tokens"),
        ("config.json", {"vocab_size": "many"}, "how many tokens"),
        ("config.json", {"vocab_size": 3}, "does not know"),
        ("tokenizer.json", {"added_tokens": [{"id": -1, "content": "x"}]}, "does not know"),
        ("tokenizer.json", {"added_tokens": [{"content": "x"}]}, "tokenizer.json is not as it should be"),
        ("tokenizer.json", {"added_tokens": "x"}, "tokenizer.json is not as it should be"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, name: str, changed: dict[str, Any], reason: str) -> None:
    write_tiny(tmp_path)
    told(tmp_path, name, **changed)
    with pytest.raises(ValueError, match=reason):
        read(tmp_path)


def test_a_model_that_would_never_end_is_refused(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    told(tmp_path, "config.json", eos_token_id=None)
    told(tmp_path, "generation_config.json", eos_token_id=None)
    told(tmp_path, "tokenizer_config.json", eos_token=None)
    told(tmp_path, "tokenizer.json", added_tokens=[])
    with pytest.raises(ValueError, match="which token ends"):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 50_000])
def test_what_is_no_document_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.json is not as it should be"):
        document(tmp_path / "x.json")


def test_a_document_has_a_longest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny(tmp_path)
    monkeypatch.setattr(folders, "MOST_WORDS", 100)
    with pytest.raises(ValueError, match=r"tokenizer\.json is too long"):
        read(tmp_path)
    with pytest.raises(ValueError, match="too long"):
        document(tmp_path / "config.json", most=10)


def test_what_is_missing(tmp_path: Path) -> None:
    assert document(tmp_path / "none.json", wanted=False) == {}
    with pytest.raises(FileNotFoundError):
        read(tmp_path)
