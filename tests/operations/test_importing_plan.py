from __future__ import annotations

import tomllib
from datetime import date

from antiphon.catalogue.additions import tables
from antiphon.operations.importing.plan import Plan, Upstream


def test_tables_are_what_models_toml_says() -> None:
    common = {"model": "o/m", "owned_by": "o", "released": date(2026, 11, 28), "slots": 4}
    chat = Upstream(
        id="chat", task="chat", urls=("http://a/v1", "http://b/v1"), key_file="/k", context=10,
        price={"input": "0.1"}, **common,
    )  # fmt: skip
    speech = Upstream(id="s", task="speech", urls=("http://a/v1",), **common)
    plan = Plan(lines=(), snapshots=(chat, speech), aliases={'od"d': "chat"})
    common = {
        "owned_by": "o",
        "licence": "unknown",
        "released": date(2026, 11, 28),
        "slots": 4,
        "serve": True,
    }
    assert tomllib.loads(tables(plan.tables())) == {
        "snapshots": {
            "chat": common
            | {
                "task": "chat",
                "engine": "openai",
                "context": 10,
                "prices": [{"since": date(2026, 11, 28), "input": "0.1"}],
                "source": {
                    "kind": "upstream", "url": ["http://a/v1", "http://b/v1"],
                    "model": "o/m", "key_file": "/k",
                },
            },
            "s": common
            | {
                "task": "speech",
                "engine": "openai_speech",
                "source": {"kind": "upstream", "url": "http://a/v1", "model": "o/m"},
            },
        },
        "aliases": {'od"d': {"snapshot": "chat"}},
    }  # fmt: skip
    assert not plan.empty and Plan(lines=()).empty
