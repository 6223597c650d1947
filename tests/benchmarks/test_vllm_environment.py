"""The environment of vLLM's build for processors: what is locked, and what its package lacks."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

from benchmarks.runs import ROOT
from benchmarks.vllm.environment import LOCK, _torch, environment, name, version


def test_the_lock_is_whole_and_names_no_place() -> None:
    text = LOCK.read_text()
    packages = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert len(packages) > 100 and all("--hash=sha256:" in package for package in packages)
    assert "://" not in text
    names = {re.split(r"[=\[ ]", package)[0] for package in packages}
    excluded = (ROOT / "benchmarks" / "vllm" / "excludes.txt").read_text().splitlines()
    assert not names & set(excluded) and {"torchvision"} < {*excluded}
    assert re.search(r"^torch==\S+\+cpu ", text, re.MULTILINE), "the usual torch brings CUDA"


def test_its_version_is_the_locked_one(tmp_path: Path) -> None:
    assert version("a==1\nvllm-cpu==0.32.0 \\\n    --hash=sha256:0\n") == "0.32.0"
    assert version() in LOCK.read_text()


def test_its_program_finds_a_package_by_its_name(tmp_path: Path) -> None:
    name(tmp_path, "0.32.0")
    [found] = distributions(name="vllm", path=[str(tmp_path)])
    assert found.version == "0.32.0+cpu", "from which vLLM knows that it is built for processors"


def test_where_torch_is_looked_for() -> None:
    assert _torch("") == ["--torch-backend", "cpu"]
    assert _torch("/one /two") == ["--find-links", "/one", "--find-links", "/two"]


def test_what_it_is_told() -> None:
    assert environment([0, 2])["VLLM_CPU_OMP_THREADS_BIND"] == "0,2"
