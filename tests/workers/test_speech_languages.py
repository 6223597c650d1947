from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.workers.speech.languages import languages
from speech_house import write_tokens


def test_the_bundled_models_files_tell_what_the_model_knows(whisper_base: Path) -> None:
    known = languages(whisper_base)
    assert known is not None and len(known) == 99
    assert known >= {"en", "de", "zh", "jw", "haw"}
    assert not known & {"yue", "xx", "", "|en", "EN", "english", "transcribe", "notimestamps", "0.00"}


def test_control_tokens_are_no_languages(tmp_path: Path) -> None:
    write_tokens(tmp_path, "en", "haw", "yue")
    assert languages(tmp_path) == {"en", "haw", "yue"}


def test_a_model_of_english_alone_has_tokens_of_others_and_does_not_know_them(tmp_path: Path) -> None:
    write_tokens(tmp_path, "en", "de", first=50_256)
    assert languages(tmp_path) == {"en"}


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b'{"added_tokens": []}', b"\xff"])
def test_files_that_do_not_tell(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_bytes(content)
    assert languages(tmp_path) is None
