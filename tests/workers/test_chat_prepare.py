"""The preparation of a model: a whole folder or none, and a reason."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import dequantize, quantize

from antiphon.workers.chat.requantize import requantize
from tiny_models import write_gguf

WEIGHTS = numpy.random.default_rng(0).normal(size=(8, 64)).astype(numpy.float32)


def prepare(model: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "antiphon.workers.chat.prepare", "--model", model, "--out", out]
    return subprocess.run(command, capture_output=True, text=True, timeout=150)


def written(path: Path, architecture: str = "llama", **metadata: str | int) -> Path:
    writer = GGUFWriter(path, architecture)
    for name, value in metadata.items():
        key = name.replace("__", ".")
        writer.add_string(key, value) if isinstance(value, str) else writer.add_uint32(key, value)
    four = GGMLQuantizationType.Q4_1
    writer.add_tensor("token_embd.weight", quantize(WEIGHTS, four), raw_dtype=four)
    writer.add_tensor("odd.weight", numpy.ones((3, 5), numpy.float16))
    writer.add_tensor("output_norm.weight", numpy.ones(64, numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_what_is_made_is_whole(prepared_smollm2: Path) -> None:
    names = {file.name for file in prepared_smollm2.iterdir()}
    assert {"openvino_model.xml", "openvino_model.bin", "tokenizer.json", "vocabulary.json"} <= names
    assert not [name for name in names if name.endswith(".gguf")]
    assert [folder.name for folder in prepared_smollm2.parent.iterdir()] == [prepared_smollm2.name]


def test_no_logit_is_below_zero(prepared_smollm2: Path) -> None:
    """There, OpenVINO GenAI would reward what a penalty is to punish."""
    program = """if True:
        import sys, numpy, openvino
        from antiphon.workers.chat.pipeline import PRECISION
        request = openvino.compile_model(sys.argv[1], "CPU", PRECISION).create_infer_request()
        tokens = numpy.array([[1, 4093, 198, 19556, 2, 198, 1, 520, 9531, 198]])
        found = request.infer({
            "input_ids": tokens,
            "attention_mask": numpy.ones_like(tokens),
            "position_ids": numpy.arange(tokens.size)[None],
            "beam_idx": numpy.zeros(1, numpy.int32),
        })
        logits = found[0][0]
        print(logits.min(), logits.argmax(-1)[-1])
    """
    command = [sys.executable, "-c", program, prepared_smollm2 / "openvino_model.xml"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    least, likeliest = found.split()
    assert float(least) > 100 and int(likeliest) == 19556, "the model says hello"


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"architecture": "gemma3"}, "gemma3"),
        ({"llama__rope__scaling__type": "yarn"}, "scaled"),
        ({"llama__attention__sliding_window": 512}, "window"),
        ({"llama__expert_count": 8}, "experts"),
        ({"split__count": 2}, "split"),
        ({"tokenizer__ggml__model": "llama"}, "tokenizer"),
    ],
)
def test_what_it_cannot_take_is_refused(tmp_path: Path, metadata: dict[str, str], reason: str) -> None:
    found = prepare(written(tmp_path / "m.gguf", **metadata), tmp_path / "out")
    assert found.returncode == 2
    [line] = found.stderr.splitlines()
    assert reason in line
    assert [file.name for file in tmp_path.iterdir()] == ["m.gguf"]


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"nothing of the kind" * 100)
    found = prepare(tmp_path / "m.gguf", tmp_path / "out")
    assert found.returncode == 2 and len(found.stderr.splitlines()) == 1


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    found = prepare(tmp_path / "m.gguf", tmp_path / "out")
    assert found.returncode == 1 and len(found.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_preparation_that_was_broken_off_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "half").write_bytes(b"x")
    assert prepare(write_gguf(tmp_path / "m.gguf"), tmp_path / "out").returncode == 2
    assert [file.name for file in tmp_path.iterdir()] == ["m.gguf"]


def test_progress_is_told(tmp_path: Path) -> None:
    found = prepare(written(tmp_path / "m.gguf", tokenizer__ggml__model="llama"), tmp_path / "out")
    assert [json.loads(line) for line in found.stdout.splitlines()] == [
        {"step": "reading", "done": 0, "total": 1}
    ]


def test_weights_are_those_of_the_file_in_eight_bits(tmp_path: Path) -> None:
    source = GGUFReader(written(tmp_path / "m.gguf", llama__block_count=3, general__file_type=3))
    told: list[tuple[int, int]] = []
    requantize(source, tmp_path / "q8.gguf", lambda done, total: told.append((done, total)))
    made = GGUFReader(tmp_path / "q8.gguf")
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert made.fields["llama.block_count"].contents() == 3
    assert made.fields["general.file_type"].contents() == 7
    embedding, odd, norm = made.tensors
    assert embedding.tensor_type == GGMLQuantizationType.Q8_0
    before = dequantize(source.tensors[0].data, source.tensors[0].tensor_type)
    after = dequantize(embedding.data, embedding.tensor_type)
    assert after.shape == before.shape == WEIGHTS.shape
    assert abs(after - before).max() < 0.02 and abs(after - WEIGHTS).max() < 0.3
    assert odd.tensor_type == GGMLQuantizationType.F16 and odd.data.shape == (3, 5)
    assert norm.tensor_type == GGMLQuantizationType.F32 and (norm.data == 1).all()


@pytest.mark.parametrize(
    ("kind", "error"),
    [(GGMLQuantizationType.F32, 0.0), (GGMLQuantizationType.F16, 0.002), (GGMLQuantizationType.Q4_0, 0.3)],
)
def test_weights_of_other_kinds(tmp_path: Path, kind: GGMLQuantizationType, error: float) -> None:
    source = GGUFReader(written(tmp_path / "m.gguf", llama__block_count=3, general__file_type=3))
    requantize(source, tmp_path / "other.gguf", lambda done, total: None, kind)
    embedding, odd, norm = GGUFReader(tmp_path / "other.gguf").tensors
    before = dequantize(source.tensors[0].data, source.tensors[0].tensor_type)
    assert embedding.tensor_type == kind and norm.tensor_type == GGMLQuantizationType.F32
    assert abs(dequantize(embedding.data, kind) - before).max() <= error
    assert (odd.data == source.tensors[1].data).all()
