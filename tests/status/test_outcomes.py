"""What counts of a request, and as what."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from antiphon.settings import Settings
from antiphon.status.outcomes import Api, Ended, Outcome, api_of, objectives, outcome

AIMS = objectives(Settings())  # 10 s to the first token, 60 s for a whole answer, 1 s a second of sound
CHAT = Ended(route="/v1/chat/completions", status=200, complete=True, seconds=1.0)
STREAM = replace(CHAT, streams=True, first=1.0, seconds=500.0)
SPEECH = replace(CHAT, route="/v1/audio/transcriptions", sound=100.0, seconds=99.0)


@pytest.mark.parametrize(
    ("api", "ended", "expected"),
    [
        ("chat", CHAT, "good"),
        ("chat", replace(CHAT, seconds=61.0), "slow"),
        ("embeddings", replace(CHAT, seconds=61.0), "slow"),
        ("moderation", replace(CHAT, seconds=59.0), "good"),
        ("moderation", replace(CHAT, seconds=61.0), "slow"),
        ("administration", replace(CHAT, seconds=9.0), "good"),
        ("administration", replace(CHAT, seconds=11.0), "slow"),
        ("chat", STREAM, "good"),
        ("chat", replace(STREAM, first=10.1), "slow"),
        # A stream that ended with an error event has status 200, and what is told here is the error's.
        ("chat", replace(STREAM, status=503, code="engine_failed"), "failed"),
        ("chat", replace(STREAM, status=500), "failed"),
        ("speech", SPEECH, "good"),
        ("speech", replace(SPEECH, seconds=101.0), "slow"),
        ("speech", replace(SPEECH, sound=1.0, seconds=9.9), "good"),
        ("speech", replace(SPEECH, sound=1.0, seconds=10.1), "slow"),
        ("chat", replace(CHAT, status=503, complete=True), "failed"),
        ("chat", replace(CHAT, status=507), "failed"),
        ("chat", replace(CHAT, status=503, code="instance_elsewhere"), "refused"),
        ("chat", replace(CHAT, status=400, seconds=100.0), "refused"),
        ("chat", replace(CHAT, status=401), "refused"),
        ("chat", replace(CHAT, status=429), "refused"),
        # A request that came too slowly is the client's; work that took too long is ours.
        ("speech", replace(SPEECH, status=408, received=False), "refused"),
        ("speech", replace(SPEECH, status=408), "failed"),
        # Who leaves does not count, unless the wait was too long already.
        ("chat", replace(CHAT, status=0, complete=False), "left"),
        ("chat", replace(STREAM, complete=False), "left"),
        ("chat", replace(STREAM, status=0, complete=False, first=None, seconds=9.0), "left"),
        ("chat", replace(STREAM, status=0, complete=False, first=None, seconds=11.0), "slow"),
        ("speech", replace(SPEECH, status=0, complete=False, sound=0.0, seconds=11.0), "slow"),
    ],
)
def test_what_a_request_counts_as(api: Api, ended: Ended, expected: Outcome) -> None:
    assert outcome(ended, api, AIMS) == expected


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("/v1/chat/completions", "chat"),
        ("/v1/engines/{model:path}/chat/completions", "chat"),
        ("/v1/completions", "chat"),
        ("/v1/chat/completions/render", "chat"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/moderations", "moderation"),
        ("/v1/moderations/scorers", None),
        ("/v1/audio/translations", "speech"),
        ("/v1/organization/usage/completions", "administration"),
        ("/v1/organization/usage/embeddings", "administration"),
        ("/v1/operator/incidents", "administration"),
        ("/v1/models", None),
        ("/status", None),
        ("/healthz", None),
        ("none", None),
    ],
)
def test_whose_figures_a_route_counts_for(route: str, expected: Api | None) -> None:
    assert api_of(route) == expected
