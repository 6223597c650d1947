from __future__ import annotations

from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

from supply.licences import gathered, licence


def package(folder: Path, *lines: str) -> Distribution:
    info = folder / "a-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", "Name: a", "Version: 1", *lines]))
    [found] = distributions(path=[str(folder)])
    return found


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (["License-Expression: MIT OR Apache-2.0"], "MIT OR Apache-2.0"),
        (["License: MIT"], "MIT"),
        (["License: Permission is hereby granted"], None),
        (["Classifier: License :: OSI Approved :: MIT License"], "MIT"),
        (
            ["Classifier: License :: OSI Approved", "Classifier: License :: OSI Approved :: MIT License"],
            "MIT",
        ),
        (["Classifier: License :: OSI Approved :: BSD License"], None),
        (
            [f"Classifier: License :: OSI Approved :: {name} License" for name in ("MIT", "Apache Software")],
            None,
        ),
        ([], None),
    ],
)
def test_a_licence_is_known_where_the_metadata_are_sure(
    tmp_path: Path, lines: list[str], wanted: str | None
) -> None:
    assert licence(package(tmp_path, *lines)) == wanted


def test_what_is_not_installed_stays_as_it_was_known(tmp_path: Path) -> None:
    there = [package(tmp_path, "License: MIT")]
    assert gathered(["b", "a", "c"], there, {"b": "ISC", "a": "ISC", "gone": "ISC"}) == {
        "a": "MIT",
        "b": "ISC",
    }
