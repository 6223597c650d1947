"""The page of models."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from antiphon.api.model_page import priced
from antiphon.values import Price
from service import CHAT, KEY, SPEECH, serving

MODELS = {
    "snapshots": {CHAT: {"shutdown": date(2999, 1, 1), "replacement": "whisper-1"}},
    "aliases": {
        "mine": {
            "snapshot": CHAT,
            "changes": [
                {
                    "since": datetime(2998, 5, 1, 9, tzinfo=UTC),
                    "snapshot": CHAT,
                    "notes": "<b>better</b> & larger",
                }
            ],
        }
    },
}


async def test_it_tells_what_names_mean_and_when_they_change(tmp_path: Path) -> None:
    async with serving(tmp_path, models=MODELS, public_models=True) as service:
        async with service.session.get(f"http://127.0.0.1:{service.port}/models") as response:
            page = await response.text()
            assert response.status == 200 and response.headers["content-type"].startswith("text/html")
            assert "default-src 'self'" in response.headers["content-security-policy"]
        async with service.session.get(f"http://127.0.0.1:{service.port}/docs/api.css") as response:
            style = await response.text()
    for said in ("mine", CHAT, SPEECH, "2998-05-01 09:00 UTC", "2999-01-01", "8,192 tokens", "a stand-in"):
        assert said in page
    for day in ("2998-05-01 09:00 UTC", "2999-01-01"):
        assert f"<time>{day}</time>" in page
    assert re.search(r"^(.*\W)?time\b.*{.*white-space: nowrap", style, re.MULTILINE), "a date is not broken"
    assert re.search(r"^table {.*overflow-x: auto", style, re.MULTILINE), "a phone scrolls the table alone"
    assert "&lt;b&gt;better&lt;/b&gt; &amp; larger" in page


async def test_it_asks_for_a_key_unless_it_is_public(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        address = f"http://127.0.0.1:{service.port}/models"
        async with service.session.get(address) as response:
            assert response.status == 401
        async with service.session.get(address, headers={"authorization": f"Bearer {KEY}"}) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    ("price", "said"),
    [
        (None, "free"),
        (Price(since=date(2026, 1, 1)), "free"),
        (
            Price(since=date(2026, 1, 1), input=2_000_000, output=3_500_000),
            "$0.002 in, $0.0035 out (1,000 tokens)",
        ),
        (Price(since=date(2026, 1, 1), second=100_000), "$0.006 a minute of sound"),
    ],
)
def test_a_price_in_words(price: Price | None, said: str) -> None:
    assert priced(price) == said
