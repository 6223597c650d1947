"""models.toml as values, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.catalogue.document import document, read
from antiphon.errors import ConfigurationError
from pretended import BASE, TINY

HEAD = "# The operator's own.\n\n"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[aliases]\nx = \n", 4, "Invalid value"),
        ('[snapshots."x"]\ntask = "chat"\n', 3, "missing required field"),
        (f'[snapshots."{BASE}"]\n\ncolour = "red"\n', 5, "unknown field `colour`"),
        (f'[snapshots."{BASE}"]\nslots = "many"\n', 4, "Expected `int | object`"),
        (f'[snapshots."{BASE}"]\nslots = {{ openvino = 0 }}\n', 4, "slots"),
        ("[snapshots]\nx = 1\n", 4, "Expected `object`"),
        ("snapshots = 1\n", 3, "Expected `object`"),
        ("aliases = []\n", 3, "Expected `object`"),
        ("models = 1\n", 3, "unknown field `models`"),
        ('[aliases]\nx = { snapshot = "y" }\n', 4, "'x' points to 'y', which is no snapshot"),
        (f'[aliases]\n"{BASE}" = {{ snapshot = "{TINY}" }}\n', 4, "both an alias and a snapshot"),
        (f'[aliases]\n"a b" = {{ snapshot = "{TINY}" }}\n', 4, "matching regex"),
        (f'[aliases.x]\nsnapshot = "{TINY}"\nstand_in = 1\n', 5, "Expected `bool`"),
        (
            f'[aliases.x]\nsnapshot = "{TINY}"\n\n'
            '[[aliases.x.changes]]\nsince = 2026-12-01\nsnapshot = "y"\n',
            8,
            "points to 'y'",
        ),
        (
            f'[[aliases.x.changes]]\nsince = 2026-12-01T09:00:00\nsnapshot = "{TINY}"\n\n'
            f'[aliases.x]\nsnapshot = "{TINY}"\n',
            3,
            "timezone",
        ),
        (f'[[snapshots."{BASE}".prices]]\nsince = 2026-12-01\nsecond = 1\n', 5, "Expected `str`"),
        (
            f'[[snapshots."{BASE}".files]]\nname = "config.json"\nsize = 1\nsha256 = "{"a" * 64}"\n\n'
            f'[[snapshots."{BASE}".files]]\nname = "model.bin"\nsize = -1\nsha256 = "{"a" * 64}"\n',
            10,
            "files.1.size",
        ),
        (f'[snapshots."{BASE}"]\nreplacement = "gone"\n', 4, "'gone' as its replacement"),
    ],
)
def test_a_wrong_file_is_named_with_its_line_and_what_is_wrong(text: str, line: int, said: str) -> None:
    path = Path("/home/models.toml")
    with pytest.raises(ConfigurationError) as refusal:
        document(path, HEAD + text)
    assert said in refusal.value.message and refusal.value.fix
    assert str(path) in refusal.value.message and f"line {line}" in refusal.value.message


def test_snapshots_are_changed_field_by_field_and_aliases_as_a_whole() -> None:
    text = f'[snapshots."{BASE}"]\nserve = true\n\n[aliases]\nmine = {{ snapshot = "{TINY}" }}\n'
    found = document(Path("models.toml"), text)
    shipped = document(Path("models.toml"), "")
    assert found.snapshots[BASE].serve and found.snapshots[BASE].files == shipped.snapshots[BASE].files
    assert found.aliases["mine"].snapshot == TINY and "whisper-1" in found.aliases


def test_an_alias_that_is_false_is_taken_away() -> None:
    found = document(Path("models.toml"), '[aliases]\n"whisper-1" = false\nmine = false\n')
    assert found.aliases.keys() == document(Path("models.toml"), "").aliases.keys() - {"whisper-1"}


def test_without_a_file_there_is_no_text_and_one_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    assert read(path) == ""
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"models\.toml cannot be read"):
        read(path)
