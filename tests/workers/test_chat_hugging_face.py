"""Folders of safetensors prepared for OpenVINO: what is computed is what their weights say."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy
import pytest
from benchmarks.folders import write_folder_of

from antiphon.engines import kinds
from antiphon.tokens import folder as folders
from antiphon.workers.chat import tokenizer
from antiphon.workers.chat.hugging_face import convert
from antiphon.workers.chat.tokenizer import Unsupported
from chat_engines import answer, deployment, job, running, text
from hugging_face import FIGURES, tiny_tensors, write_safetensors, write_tiny
from plain_transformer import logits

needs_openvino = pytest.mark.skipif(not find_spec("openvino_genai"), reason="there is no OpenVINO here")
QWEN2 = {"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": False, "sliding_window": 128}
QWEN3 = {"architectures": ["Qwen3ForCausalLM"], "head_dim": 32, "rope_theta": 1e6}
TOKENS = [1, *range(40, 60), 2, 1, *range(90, 99)]


def prepared(model: Path, out: Path) -> Path:
    command = [sys.executable, "-m", "antiphon.workers.chat.prepare", "--model", model, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    return out


def computed(folder: Path, tokens: list[int]) -> Any:
    """The logits of a prepared model; in a process of its own, since OpenVINO stays."""
    program = """if True:
        import json, sys, numpy, openvino
        from antiphon.workers.chat.pipeline import PRECISION
        request = openvino.compile_model(sys.argv[1], "CPU", PRECISION).create_infer_request()
        tokens = numpy.array([json.loads(sys.argv[2])])
        found = request.infer({
            "input_ids": tokens,
            "attention_mask": numpy.ones_like(tokens),
            "position_ids": numpy.arange(tokens.size)[None],
            "beam_idx": numpy.zeros(1, numpy.int32),
        })
        print(json.dumps(found[0][0].tolist()))
    """
    command = [sys.executable, "-c", program, folder / "openvino_model.xml", str(tokens)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    return numpy.array(json.loads(found))


@needs_openvino
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_numbers_of_each_kind_are_computed(tmp_path: Path, dtype: str) -> None:
    _is_computed(tmp_path, dtype=dtype)


@needs_openvino
@pytest.mark.parametrize(
    "figures",
    [
        QWEN2,
        QWEN3,
        {"tie_word_embeddings": True},
        {"num_key_value_heads": 4, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
    ],
)
def test_each_architecture_is_computed_as_it_is_described(tmp_path: Path, figures: dict[str, Any]) -> None:
    _is_computed(tmp_path, **figures)


def _is_computed(folder: Path, dtype: str = "F32", **figures: Any) -> None:
    """Weights of 8 bits are nearly those of the folder; a part in the wrong place changes everything."""
    made = prepared(write_tiny(folder / "model", dtype=dtype, **figures), folder / "made")
    config = {**FIGURES, **figures}
    expected, found = logits(config, tiny_tensors(config), TOKENS), computed(made, TOKENS)
    assert found.shape == expected.shape
    assert numpy.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.995
    assert (found.argmax(-1) == expected.argmax(-1)).mean() > 0.7


@needs_openvino
def test_a_model_in_several_files_is_one(tmp_path: Path) -> None:
    whole = write_tiny(tmp_path / "whole")
    parts = write_tiny(tmp_path / "parts")
    (parts / "model.safetensors").unlink()
    tensors = tiny_tensors(FIGURES)
    for number, part in enumerate((list(tensors)[::2], list(tensors)[1::2]), 1):
        file = parts / f"model-{number:05d}-of-00002.safetensors"
        write_safetensors(file, {name: tensors[name] for name in part})
    made = [prepared(folder, tmp_path / f"made-{folder.name}") for folder in (whole, parts)]
    assert len({(folder / "openvino_model.bin").read_bytes() for folder in made}) == 1


@needs_openvino
async def test_the_bundled_model_says_the_same_as_a_folder(
    smollm2: Path, prepared_smollm2: Path, tmp_path: Path
) -> None:
    """The folder has the weights of the GGUF file in 32 bits: weights of 8 bits made of them are the same."""
    folder = write_folder_of(smollm2, tmp_path / "model")
    made = await asyncio.to_thread(prepared, folder, tmp_path / "made")
    weights = [(each / "openvino_model.bin").read_bytes() for each in (made, prepared_smollm2)]
    assert weights[0] == weights[1]
    given = tokenizer.load(prepared_smollm2)
    assert tokenizer.load(made).bytes == given.bytes and tokenizer.load(made).ends == given.ends
    kind = kinds()["openvino"]
    said = []
    for model, ready in ((folder, made), (smollm2, prepared_smollm2)):
        async with running(kind, deployment("openvino", model, ready)) as (engine, _):
            questions = ("What is the capital of France?", "Übersetze: „Grüße“ 👋🏽 12345", "<|im_end|> x")
            said.append([text((await answer(engine, job(question)))[0]) for question in questions])
    assert said[0] == said[1] and all(said[0])


def refused(model: Path, folder: Path) -> str:
    with pytest.raises(Unsupported) as refusal:
        convert(model, folder / "m.gguf", folder, lambda done, total: None)
    return str(refusal.value)


def changed(tensors: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The tensors with others; None takes one away."""
    both = tensors | {name.replace("__", "."): value for name, value in values.items()}
    return {name: value for name, value in both.items() if value is not None}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"model__norm__weight": None}, "model.norm.weight is missing"),
        ({"model__layers__1__mlp__up_proj__weight": None}, "model.layers.1.mlp.up_proj.weight is missing"),
        ({"model__norm__weight": numpy.ones(63)}, "another shape"),
        ({"model__norm__weight": numpy.ones((64, 1))}, "another shape"),
        ({"model__embed_tokens__weight": numpy.ones((287, 64))}, "another shape"),
        ({"lm_head__weight": None}, "lm_head.weight is missing"),
        ({"model__layers__2__mlp__up_proj__weight": numpy.ones(1)}, "not known here: 'model.layers.2."),
        ({"model__layers__0__self_attn__q_proj__bias": numpy.ones(64)}, "not known here"),
        ({"vision\n": numpy.ones(1)}, r"not known here: 'vision\n'"),
    ],
)
def test_tensors_that_are_not_the_model_s_are_refused(
    tmp_path: Path, values: dict[str, Any], reason: str
) -> None:
    write_tiny(tmp_path)
    write_safetensors(tmp_path / "model.safetensors", changed(tiny_tensors(FIGURES), **values))
    assert reason in refused(tmp_path, tmp_path) and not (tmp_path / "m.gguf").exists()


def test_numbers_that_follow_from_the_figures_are_passed_over(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    more = {"model.layers.0.self_attn.rotary_emb.inv_freq": numpy.ones(8)}
    write_safetensors(tmp_path / "model.safetensors", tiny_tensors(FIGURES) | more)
    told: list[tuple[int, int]] = []
    convert(tmp_path, tmp_path / "m.gguf", tmp_path, lambda *step: told.append(step))
    assert told == [(done, 21) for done in range(1, 22)]


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    assert "missing" in refused(tmp_path, tmp_path)


@needs_openvino
def test_the_program_says_in_one_line_why_not(tmp_path: Path) -> None:
    model = write_tiny(tmp_path / "model", architectures=["MambaForCausalLM"])
    command = [
        sys.executable,
        "-m",
        "antiphon.workers.chat.prepare",
        "--model",
        model,
        "--out",
        tmp_path / "x",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "OpenVINO cannot serve this model: its architecture is 'MambaForCausalLM'\n"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert folders.read(model).size == 288
