from __future__ import annotations

import pytest

from antiphon.errors import AntiphonError, AudioTooShort, EngineFailed, InvalidAudio, TooLarge
from antiphon.workers.speech.refusals import NO_TRACK, Refusal, error, refusal, too_long
from antiphon.workers.speech.sniff import UNREADABLE


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (InvalidAudio(UNREADABLE), InvalidAudio),
        (InvalidAudio(NO_TRACK), InvalidAudio),
        (AudioTooShort(), AudioTooShort),
        (too_long(90), TooLarge),
    ],
)
def test_what_is_wrong_with_a_file_crosses_unchanged(
    problem: AntiphonError, kind: type[AntiphonError]
) -> None:
    arrived = error(refusal(problem), 90)
    assert type(arrived) is kind and arrived.message == problem.message
    assert (arrived.param, arrived.code, arrived.status) == (problem.param, problem.code, problem.status)


def test_no_other_text_crosses() -> None:
    assert refusal(MemoryError()) is Refusal.UNREADABLE
    assert refusal(InvalidAudio("secret.wav: no such codec")) is Refusal.UNREADABLE
    assert refusal(KeyError("secret")) is Refusal.FAILED
    arrived = error(Refusal.FAILED, 90)
    assert isinstance(arrived, EngineFailed) and "secret" not in arrived.message


@pytest.mark.parametrize("kind", Refusal)
def test_every_refusal_is_an_error(kind: Refusal) -> None:
    assert isinstance(error(kind, 90), AntiphonError)
    assert refusal(error(kind, 90)) is kind
