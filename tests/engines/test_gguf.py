"""What a GGUF file says of itself, beside what the `gguf` package reads, and files that only look so."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest
from gguf import GGUFReader, GGUFValueType, GGUFWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.engines.gguf import metadata
from tiny_models import write_gguf

HEADER = struct.Struct("<4sIQQ")
READ_SECONDS = 5.0


def test_it_reads_what_the_gguf_package_reads(smollm2: Path) -> None:
    def wanted(name: str) -> bool:
        return not name.startswith("tokenizer.ggml.") or name.endswith("_id")

    theirs = {
        name: field.contents()
        for name, field in GGUFReader(smollm2).fields.items()
        if not name.startswith("GGUF.") and wanted(name)
    }
    assert metadata(smollm2, wanted) == theirs


def test_a_vocabulary_takes_no_seconds(smollm2: Path) -> None:
    began = time.monotonic()
    facts = metadata(smollm2)
    assert time.monotonic() - began < READ_SECONDS
    assert len(facts["tokenizer.ggml.tokens"]) == 49152
    assert facts["tokenizer.ggml.merges"][0].split() == ["\u0120", "t"]


def test_every_type(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "x.gguf", "llama")
    numbers = {"UINT8": 2, "INT8": -2, "UINT16": 3, "INT16": -3, "UINT32": 4, "INT32": -4, "UINT64": 5}
    for kind, value in {**numbers, "INT64": -5, "FLOAT32": 0.5, "FLOAT64": 0.1, "BOOL": True}.items():
        writer.add_key_value(kind, value, GGUFValueType[kind])
    writer.add_array("numbers", [1, 2, 3])
    writer.add_array("texts", ["a", "\u00fc", ""])
    writer.add_string("text", "gr\u00fcn")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    facts = metadata(tmp_path / "x.gguf")
    assert {name: facts[name] for name in numbers} == numbers
    assert (facts["INT64"], facts["FLOAT32"], facts["FLOAT64"], facts["BOOL"]) == (-5, 0.5, 0.1, True)
    assert (facts["numbers"], facts["texts"], facts["text"]) == ([1, 2, 3], ["a", "\u00fc", ""], "gr\u00fcn")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GGUF",
        b"GGUF\x01\0\0\0" + bytes(64),
        HEADER.pack(b"GGUF", 3, 0, 2**63),
        HEADER.pack(b"GGUF", 3, 2**63, 0),
        # A name, a text, and a list that are said to be longer than the file.
        HEADER.pack(b"GGUF", 3, 0, 1) + struct.pack("<Q", 2**62),
        HEADER.pack(b"GGUF", 3, 0, 1) + struct.pack("<Q1sIQ", 1, b"x", 8, 2**62),
        HEADER.pack(b"GGUF", 3, 0, 1) + struct.pack("<Q1sIIQ", 1, b"x", 9, 0, 2**62),
        # Of lists in lists without an end, and of a type that nobody knows.
        HEADER.pack(b"GGUF", 3, 0, 1) + struct.pack("<Q1sI", 1, b"x", 9) + struct.pack("<IQ", 9, 1) * 5000,
        HEADER.pack(b"GGUF", 3, 0, 1) + struct.pack("<Q1sI", 1, b"x", 77),
    ],
)
def test_what_is_not_gguf_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(ValueError, match=r"."):
        metadata(tmp_path / "x.gguf")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 400), value=st.binary(min_size=1, max_size=12))
def test_whatever_is_changed_it_is_read_or_refused(tmp_path: Path, place: int, value: bytes) -> None:
    content = bytearray(write_gguf(tmp_path / "whole.gguf").read_bytes())
    content[place : place + len(value)] = value
    (tmp_path / "x.gguf").write_bytes(content)
    try:
        facts = metadata(tmp_path / "x.gguf")
    except ValueError:
        return
    assert isinstance(facts, dict)
