"""Where it listens, and that nobody is answered there without a key, wherever that is."""

from __future__ import annotations

from pathlib import Path

import pytest

from admin_service import administrating
from antiphon.address import Address, listening
from antiphon.settings import Settings

TELLS_NOTHING = {
    *("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs/api", "/docs/api.css"),
    *("/status", "/status.json", "/status.atom"),
}
"""Open by design, as SECURITY.md says: they hold nobody's content. Settings close metrics and status."""


@pytest.mark.requirement("R20")
def test_it_listens_on_this_machine_alone_unless_told() -> None:
    assert Settings().host == "127.0.0.1"


@pytest.mark.requirement("R20")
async def test_there_is_no_way_to_serve_without_keys(tmp_path: Path, migrated_sqlite: Path) -> None:
    """Wherever it listens, every route but those few asks for a key, and no setting lifts the question."""
    async with administrating(tmp_path, migrated_sqlite) as house:
        _, _, document = await house.service.call("GET", "/openapi.json")
        answered = {
            path
            for path, methods in document["paths"].items()
            for method in methods
            if (await house.service.call(method.upper(), path, headers={"authorization": ""}))[0] != 401
        }
    assert answered <= TELLS_NOTHING
    words = {"auth", "anonymous", "keyless"}
    switches = [name for name in Settings.__struct_fields__ if words & set(name.split("_"))]
    assert switches == [], "a setting that could switch keys off"


@pytest.mark.requirement("R20")
def test_an_engine_that_others_can_reach_asks_for_a_secret() -> None:
    with pytest.raises(ValueError, match="needs a secret"):
        listening("tcp:10.0.0.1:5000", {})
    assert listening("unix:/private/engine.sock", {}) == Address(path="/private/engine.sock")
