from __future__ import annotations

import re
from pathlib import Path

import msgspec

from antiphon.operations.importing.remarks import KEYS, REMARKS, UNKNOWN
from antiphon.settings import Settings

ROOT = Path(__file__).parents[2]


def test_remarks_name_what_is_there() -> None:
    settings = {field.name for field in msgspec.structs.fields(Settings)}
    for text in (*REMARKS.values(), UNKNOWN, KEYS):
        for quoted in re.findall(r"`([a-z_]+)`", text):
            assert quoted in settings | {"pepper"}, text
        for page in re.findall(r"docs/[a-z-]+\.md", text):
            assert (ROOT / page).is_file(), text
