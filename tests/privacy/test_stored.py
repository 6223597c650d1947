"""Which completions are to be stored, and what is kept of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from antiphon.privacy.stored import StoredCompletion, to_store
from antiphon.values import Caller, Observation, Policy

ANSWER = msgspec.json.encode({"id": "chatcmpl-1", "created": 7, "choices": []})


KEPT = Policy()


def seen(policy: Policy = KEPT, **changes: Any) -> Observation:
    caller = Caller(
        key_id="key_1", project_id="proj_1", organization_id="org-1", organization="acme", policy=policy
    )
    fields: dict[str, Any] = {
        "request_id": "req_1",
        "caller": caller,
        "kind": "chat",
        "snapshot": "chat-1",
        "asked": b'{"model": "alias", "messages": [], "store": true, "metadata": {"a": "b"}}',
        "answered": ANSWER,
        "whole": True,
        "began_at": 7.5,
    }
    return Observation(**(fields | changes))


@pytest.mark.parametrize("policy", [Policy(), Policy(days=1), Policy(days=0)])
def test_what_is_kept(policy: Policy) -> None:
    assert to_store(seen(policy)) == StoredCompletion(
        id="chatcmpl-1",
        request_id="req_1",
        created=7,
        model="chat-1",
        asked_model="alias",
        metadata={"a": "b"},
        asked=seen().asked,
        answered=ANSWER,
    )


@pytest.mark.parametrize(
    "other",
    [
        seen(Policy(days=0, stores=False)),
        seen(Policy(days=30, stores=False)),
        seen(asked=b'{"messages": [], "store": false}'),
        seen(asked=b'{"messages": [], "store": null}'),
        seen(asked=b'{"messages": [], "metadata": {"store": "true"}}'),
        seen(kind="completion"),
        seen(whole=False),
    ],
)
def test_what_is_not(other: Observation) -> None:
    assert to_store(other) is None


def test_a_request_may_say_little() -> None:
    kept = to_store(seen(asked=b'{"messages": [], "store": true, "metadata": null}'))
    assert kept is not None and (kept.asked_model, kept.metadata) == ("", {})
