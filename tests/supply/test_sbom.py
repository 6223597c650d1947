"""The bill of materials: the same bytes each time, valid, and whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from supply import licences, sbom
from supply.locks import FOLDER, Locked, read_all

EPOCH = 1_700_000_000


@pytest.fixture(scope="module")
def text() -> str:
    return sbom.bill(EPOCH)


def components(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["components"]
    return found


def test_two_bills_are_equal_to_the_byte(text: str, tmp_path: Path) -> None:
    """In another process, with other hashes of strings, another zone, language and home."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(FOLDER.parent),
        "PYTHONHASHSEED": "7",
        "SOURCE_DATE_EPOCH": f"{EPOCH}",
        "TZ": "Asia/Tokyo",
        "LC_ALL": "C",
        "HOME": str(tmp_path),
    }
    path = tmp_path / "new" / "sbom.json"
    command = [sys.executable, "-m", "supply.sbom", str(path)]
    subprocess.run(command, env=environment, check=True, timeout=120, cwd=tmp_path)
    assert path.read_text() == text


def test_every_locked_package_is_in_it_with_its_hashes(text: str) -> None:
    """That it is valid against the schema, `supply.sbom` checks itself."""
    wanted: dict[tuple[str, str], set[str]] = {}
    for lock in read_all().values():
        for one in lock:
            wanted.setdefault((one.name, str(one.version)), set()).update(one.hashes)
    found = {(one["name"], one["version"]): {h["content"] for h in one["hashes"]} for one in components(text)}
    assert found == wanted


def test_licences_are_there_where_they_are_known(text: str) -> None:
    known = licences.read()
    assert len(known) > 100
    for one in components(text):
        assert ("licenses" in one) == (one["name"] in known), one["name"]
    assert set(known) <= {one["name"] for one in components(text)}
    assert all(licences.spdx(expression) == expression for expression in known.values())


def test_it_says_what_is_needed_to_serve(text: str) -> None:
    scopes = {one["name"]: one["scope"] for one in components(text)}
    assert (scopes["starlette"], scopes["ray"], scopes["pytest"]) == ("required", "optional", "excluded")
    made = json.loads(text)
    assert made["metadata"]["component"]["name"] == "antiphon"
    [needs] = [one["dependsOn"] for one in made["dependencies"] if one["ref"] == "antiphon"]
    assert any(ref.startswith("pkg:pypi/starlette@") for ref in needs)


def test_anything_that_changes_changes_the_bill() -> None:
    lock = {"serve": [Locked("a", Version("1"), ("0" * 64,))]}
    first = sbom.made(lock, {}, "1", ["a"], EPOCH)
    assert first == sbom.made(lock, {}, "1", ["a"], EPOCH)
    others = [
        sbom.made(lock, {"a": "MIT"}, "1", ["a"], EPOCH),
        sbom.made(lock, {}, "2", ["a"], EPOCH),
        sbom.made(lock, {}, "1", ["a"], EPOCH + 1),
        sbom.made({"serve": [lock["serve"][0]._replace(hashes=("1" * 64,))]}, {}, "1", ["a"], EPOCH),
    ]
    assert len({first, *others}) == 5
    assert len({json.loads(one)["serialNumber"] for one in (first, *others[1:])}) == 4
