"""How each kind of engine is launched: which deployments a process is given, and with which settings."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pytest

from addresses import unix
from antiphon.cores import cores
from antiphon.engines import kinds
from antiphon.settings import Settings
from antiphon.values import Deployment


def whispers(folder: Path) -> list[Deployment]:
    return [
        Deployment(snapshot=name, task="speech", engine="speech", model=folder / name, slots=slots)
        for name, slots in (("base-2022", 32), ("tiny.en-2022", 2))
    ]


def values(command: list[str], flag: str) -> list[str]:
    return [value for before, value in pairwise(command) if before == flag]


def test_speech_models_share_a_process_and_others_do_not() -> None:
    assert {name: kind.shared for name, kind in kinds().items()} == {
        "llama": False,
        "llama_embeddings": False,
        "openai": False,
        "openai_speech": False,
        "openvino": False,
        "speech": True,
        "vllm": False,
    }


def test_the_speech_process_is_told_every_model_and_setting(tmp_path: Path) -> None:
    settings = Settings(
        threads=3,
        audio_seconds=60,
        speech_memory=1_000_000_000,
        speech_device="cpu",
        speech_precision="float32",
        speech_beam=1,
        speech_window=20.0,
        speech_pad=1.5,
        speech_floor=4.0,
        speech_step=0.5,
        speech_batch_seconds=0.25,
    )
    command = kinds()["speech"].command(whispers(tmp_path), settings, unix(tmp_path / "s.sock"))
    assert command[:3] == [sys.executable, "-m", "antiphon.workers.speech"]
    assert values(command, "--model") == [
        f"base-2022={tmp_path / 'base-2022'}",
        f"tiny.en-2022={tmp_path / 'tiny.en-2022'}",
    ]
    single = {flag: values(command, flag) for flag in command[3::2] if flag != "--model"}
    assert single == {
        "--listen": [f"unix:{tmp_path}/s.sock"],
        "--threads": ["3"],
        "--slots": ["34"],
        "--audio-seconds": ["60"],
        "--memory": ["1000000000"],
        "--device": ["cpu"],
        "--precision": ["float32"],
        "--beam": ["1"],
        "--window": ["20.0"],
        "--pad": ["1.5"],
        "--floor": ["4.0"],
        "--step": ["0.5"],
        "--batch-seconds": ["0.25"],
    }


def test_speech_takes_one_recording_of_each_gateway_process_at_least(tmp_path: Path) -> None:
    settings = Settings(processes=9)
    one, small = whispers(tmp_path)
    for models, slots in (([one], "32"), ([one, small], "41")):
        command = kinds()["speech"].command(models, settings, tmp_path / "s.sock")  # type: ignore[arg-type]
        assert values(command, "--slots") == [slots]


def test_without_a_number_of_threads_speech_takes_every_core(tmp_path: Path) -> None:
    command = kinds()["speech"].command(whispers(tmp_path)[:1], Settings(), tmp_path / "s.sock")
    assert values(command, "--threads") == [str(cores())] and values(command, "--slots") == ["32"]


@pytest.mark.parametrize("name", ["llama", "llama_embeddings"])
def test_a_process_of_llama_serves_one_model(tmp_path: Path, name: str) -> None:
    kind = kinds()[name]
    with pytest.raises(ValueError):
        kind.command(whispers(tmp_path), Settings(), tmp_path / "s.sock")
