"""The reader of safetensors: numbers of each kind, and headers that lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
from gguf.quants import dequantize

from antiphon.workers.chat import safetensors
from antiphon.workers.chat.safetensors import read
from antiphon.workers.chat.tokenizer import Unsupported
from hugging_face import write_safetensors

NUMBERS = numpy.random.default_rng(0).normal(size=(5, 7)).astype(numpy.float32)


def written(path: Path, header: Any, body: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = len(text) if length is None else length
    path.write_bytes(size.to_bytes(8, "little") + text + body)
    return path


def tensor(begin: int, end: int, shape: list[int] | None = None, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape or [(end - begin) // 4], "data_offsets": [begin, end]}


@pytest.mark.parametrize(("dtype", "error"), [("F32", 0.0), ("F16", 1e-3), ("BF16", 1e-2)])
def test_numbers_of_each_kind(tmp_path: Path, dtype: str, error: float) -> None:
    file = write_safetensors(tmp_path / "m.safetensors", {"a": NUMBERS[0], "b": NUMBERS}, dtype)
    found = read([file])
    assert set(found) == {"a", "b"} and found["b"].shape == (5, 7) and found["a"].shape == (7,)
    for name, numbers in (("a", NUMBERS[0]), ("b", NUMBERS)):
        assert numpy.allclose(dequantize(found[name].data, found[name].kind), numbers, rtol=error)
    assert numpy.allclose(dequantize(found["b"].data[2:4], found["b"].kind), NUMBERS[2:4], rtol=error)


def test_numbers_may_begin_anywhere(tmp_path: Path) -> None:
    """A header of an odd length, and numbers of two bytes before those of four."""
    body = NUMBERS[0, :1].astype(numpy.float16).tobytes() + NUMBERS.tobytes()
    header = {"a": tensor(0, 2, [1], "F16"), "b": tensor(2, 142, [5, 7])}
    text = json.dumps(header).encode()
    found = read([written(tmp_path / "m", text + b" " * (1 - len(text) % 2), body)])
    assert (dequantize(found["b"].data, found["b"].kind) == NUMBERS).all()


def test_a_model_may_have_several_files(tmp_path: Path) -> None:
    files = [write_safetensors(tmp_path / name, {name: NUMBERS}) for name in "ab"]
    assert set(read(files)) == {"a", "b"}
    with pytest.raises(Unsupported, match="same tensor"):
        read([files[0], files[0]])
    assert read([]) == {}


@pytest.mark.parametrize("content", [b"", b"\x01", b"\xff" * 8, b"\xff" * 64, bytes(7)])
def test_what_is_no_file_of_the_format_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(Unsupported):
        read([tmp_path / "m"])


@pytest.mark.requirement("R17")
@pytest.mark.parametrize(
    ("header", "body", "reason"),
    [
        (b"not JSON", 0, "header"),
        (b"[]", 0, "header"),
        (b"[" * 10_000, 0, "header"),
        (b'{"a":' * 10_000, 0, "header"),
        (b"\xff", 0, "header"),
        ({"a": 1}, 4, "header"),
        ({"a": tensor(0, 4) | {"code": "x"}}, 4, "header"),
        ({"a": tensor(0, 4) | {"shape": [-1]}}, 4, "header"),
        ({"a": tensor(0, 4) | {"shape": [1.5]}}, 4, "header"),
        ({"a": tensor(0, 4) | {"shape": [2**60]}}, 4, "header"),
        ({"a": tensor(0, 4) | {"shape": []}}, 4, "header"),
        ({"a": tensor(0, 4) | {"shape": [1, 1, 1]}}, 4, "header"),
        ({"a": tensor(0, 4) | {"data_offsets": [0]}}, 4, "header"),
        ({"a": tensor(0, 4) | {"data_offsets": [-4, 0]}}, 4, "header"),
        ({"a": tensor(0, 4) | {"data_offsets": [0, 2**62]}}, 4, "header"),
        ({"a": tensor(0, 4, dtype="I64")}, 4, "numbers"),
        ({"a": tensor(0, 4, dtype="F8_E4M3")}, 4, "numbers"),
        ({"a": tensor(0, 8, [1])}, 8, "one after the other"),
        ({"a": tensor(0, 8, [2**20, 2**20])}, 8, "one after the other"),
        ({"a": tensor(0, 8), "b": tensor(4, 12)}, 12, "one after the other"),
        ({"a": tensor(0, 8), "b": tensor(0, 8)}, 8, "one after the other"),
        ({"a": tensor(0, 4), "b": tensor(8, 12)}, 12, "one after the other"),
        ({"a": tensor(4, 8)}, 8, "one after the other"),
        ({"a": tensor(4, 0, [1])}, 4, "one after the other"),
        ({"a": tensor(0, 400)}, 4, "end where it does"),
        ({"a": tensor(0, 4)}, 400, "end where it does"),
        ({}, 4, "end where it does"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, header: Any, body: int, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        read([written(tmp_path / "m", header, bytes(body))])


def test_a_header_longer_than_the_file_or_the_bound_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for length in (3, 2**32, 2**63):
        with pytest.raises(Unsupported, match="too short"):
            read([written(tmp_path / "m", {}, length=length)])
    monkeypatch.setattr(safetensors, "LONGEST_HEADER", 8)
    with pytest.raises(Unsupported, match="too short"):
        read([written(tmp_path / "m", b"{}" + b" " * 7)])


def test_nothing_at_all_is_no_tensor(tmp_path: Path) -> None:
    assert read([written(tmp_path / "m", {"__metadata__": {"format": "pt"}})]) == {}
    assert read([written(tmp_path / "m", {"a": tensor(0, 0, [0])})]) == {}


def test_every_beginning_of_a_file_is_refused(tmp_path: Path) -> None:
    whole = write_safetensors(tmp_path / "m", {"a": NUMBERS, "b": NUMBERS[0]}).read_bytes()
    for length in range(0, len(whole), 3):
        (tmp_path / "m").write_bytes(whole[:length])
        with pytest.raises(Unsupported):
            read([tmp_path / "m"])
