from __future__ import annotations

import os
from pathlib import Path

import pytest

from addresses import unix
from antiphon.workers.speech.options import Options, read

LEAST = ["--listen", "unix:/run/speech.sock", "--model", "whisper-base=/models/base"]


def test_an_address_and_a_model_are_enough() -> None:
    given = read(LEAST)
    assert given == Options(listen=unix("/run/speech.sock"), models={"whisper-base": Path("/models/base")})
    assert given.budget == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def test_everything_can_be_told() -> None:
    more = {
        "threads": 3, "slots": 7, "audio-seconds": 90.5, "memory": 1000, "device": "cuda", "beam": 1,
        "window": 20.0, "pad": 0.5, "floor": 3.0, "step": 2.5, "batch-seconds": 0.25,
    }  # fmt: skip
    words = [word for name, value in more.items() for word in (f"--{name}", str(value))]
    given = read([*LEAST, "--model", "large=/models/a=b", *words])
    assert given.models == {"whisper-base": Path("/models/base"), "large": Path("/models/a=b")}
    assert {name: getattr(given, name.replace("-", "_")) for name in more} == more
    assert given.budget == 1000


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        LEAST[:2],
        LEAST[2:],
        [*LEAST, "--model", "nameless"],
        [*LEAST, "--model", "=folder"],
        [*LEAST, "--model", "name="],
        [*LEAST, "--threads", "many"],
        [*LEAST, "--device", "abacus"],
        [*LEAST, "--unknown"],
    ],
)
def test_what_is_wrong_ends_with_a_usage_message(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        read(arguments)
    assert end.value.code == 2
    assert "usage: python -m antiphon.workers.speech" in capsys.readouterr().err
