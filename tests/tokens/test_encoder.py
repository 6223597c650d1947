"""The encoder of a folder: what text becomes, what tokens are, and which tokenizers are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken

from antiphon.errors import InvalidRequest
from antiphon.tokens import folder as folders
from antiphon.tokens.encoder import Encoder, of_folder
from hugging_face import SPECIALS, tiny_tokenizer, write_tiny


def encoder(folder: Path) -> Encoder:
    return Encoder(*of_folder(folder, folders.read(folder)))


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The folder, with its tokenizer as `change` leaves it."""
    path = folder / "tokenizer.json"
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))
    return folder


def test_text_is_what_its_tokens_are(tmp_path: Path) -> None:
    made = encoder(write_tiny(tmp_path))
    for text in ("hello", "", " \n", "Ünïcödé 🦊 日本", "".join(map(chr, range(1, 128)))):
        tokens = made.encode([text])
        assert made.decode(tokens) == text
    assert len(made.encode(["hello"])) == 3


@pytest.mark.parametrize(
    "text", [*SPECIALS, "<tool>", "a<|im_end|>b", "<|im_end|>" * 3, "<tool><|im_start|>"]
)
def test_no_text_becomes_a_special_token(tmp_path: Path, text: str) -> None:
    """Neither one that steers the model, nor one that is text of one piece."""
    folder = write_tiny(tmp_path)
    made = encoder(folder)
    tokens = made.encode([text])
    assert set(folders.read(folder).specials.values()).isdisjoint(tokens) and made.decode(tokens) == text


def test_special_tokens_are_named_by_their_numbers(tmp_path: Path) -> None:
    made = encoder(write_tiny(tmp_path))
    tool = made.size - 1 - made.bytes[::-1].index(b"<tool>")
    assert made.encode([1, "he", 2, tool]) == [1, *made.encode(["he"]), 2, tool]
    assert [made.bytes[number] for number in (0, 1, 2)] == [b"", b"", b""] and made.ends == {0, 2}
    assert made.decode([1, tool, 2]) == "<tool>" and made.size == 288
    for unknown in (-1, 288):
        with pytest.raises(InvalidRequest):
            made.encode([unknown])
        with pytest.raises(InvalidRequest):
            made.decode([unknown])


def test_nothing_is_cut_off_padded_or_put_around_a_text(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    plain = encoder(tmp_path).encode(["hello there"])
    tokenizer = tiny_tokenizer()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=64)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    mark = {"SpecialToken": {"id": SPECIALS[0], "type_id": 0}}
    processor = {"type": "TemplateProcessing", "single": [mark], "pair": [], "special_tokens": {}}
    changed(tmp_path, lambda told: told.update(post_processor=processor))
    changed(tmp_path, lambda told: told["model"].update(dropout=0.9))
    assert encoder(tmp_path).encode(["hello there"]) == plain


def test_spaces_that_are_one_token_stay_text(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([AddedToken("    ", special=False, normalized=False)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    made = encoder(tmp_path)
    [spaces] = made.encode(["    "])
    assert made.bytes[spaces] == b"    " and made.decode(made.encode(["a    b"])) == "a    b"


def test_merges_as_texts_and_as_pairs_are_the_same(tmp_path: Path) -> None:
    def as_text(told: dict[str, Any]) -> None:
        told["model"]["merges"] = [" ".join(pair) for pair in told["model"]["merges"]]

    assert len(encoder(changed(write_tiny(tmp_path), as_text)).encode(["hello"])) == 3


def test_pairs_that_would_make_a_special_token_are_dropped(tmp_path: Path) -> None:
    def add(told: dict[str, Any]) -> None:
        told["model"]["merges"].append(["<too", "l>"])

    assert encoder(changed(write_tiny(tmp_path), add)).encode(["<tool>"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda told: told["model"].update(type="Unigram"), "byte-level"),
        (lambda told: told["model"].update(byte_fallback=True), "byte-level"),
        (lambda told: told.update(decoder={"type": "Metaspace"}), "byte-level"),
        (lambda told: told.update(pre_tokenizer=None), "byte-level"),
        (lambda told: told["model"].update(end_of_word_suffix="</w>"), "words begin or end"),
        (lambda told: told["model"]["vocab"].update({"\u2581word": 270}), "byte-level words"),
        (lambda told: told["model"]["vocab"].update(word=288), "byte-level words"),
        (lambda told: told["model"]["vocab"].pop("a"), "lacks bytes"),
        (lambda told: told.update(normalizer={"type": "Nothing"}), "cannot be used"),
        (lambda told: told.pop("model"), "not as it should be"),
        (lambda told: told.update(model="BPE"), "not as it should be"),
        (lambda told: told["model"].update(merges=["h"]), "cannot be used"),
        (lambda told: told["model"].update(merges=[1]), "not as it should be"),
    ],
)
def test_a_tokenizer_of_another_kind_is_refused(tmp_path: Path, change: Any, reason: str) -> None:
    folder = changed(write_tiny(tmp_path), change)
    with pytest.raises(ValueError, match=reason):
        encoder(folder)


def test_a_kind_of_step_may_stand_among_others(tmp_path: Path) -> None:
    def nest(told: dict[str, Any]) -> None:
        told["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [told["pre_tokenizer"]]}
        told["decoder"] = {"type": "Sequence", "decoders": [told["decoder"]]}

    assert len(encoder(changed(write_tiny(tmp_path), nest)).encode(["hello"])) == 3
