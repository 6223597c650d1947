"""What a decoder may say of a recording that it refuses: one of these, never a text of FFmpeg's."""

from __future__ import annotations

from enum import IntEnum

from antiphon.errors import AntiphonError, AudioTooShort, EngineFailed, InvalidAudio, TooLarge
from antiphon.workers.speech.sniff import UNREADABLE

NO_TRACK = "The file has no audio track."
WRONG_LENGTH = "The file holds more sound than its container states."


class Refusal(IntEnum):
    """How an error crosses from the decoding process to the one that answers."""

    FAILED = 0
    """A bug of ours, not the file's fault."""
    UNREADABLE = 1
    NO_TRACK = 2
    TOO_SHORT = 3
    TOO_LONG = 4


def refusal(error: BaseException) -> Refusal:
    """What stands for an error that decoding raised."""
    match error:
        case TooLarge():
            return Refusal.TOO_LONG
        case AudioTooShort():
            return Refusal.TOO_SHORT
        case InvalidAudio():
            return Refusal.NO_TRACK if error.message == NO_TRACK else Refusal.UNREADABLE
        case MemoryError():  # The limit that is set for one file.
            return Refusal.UNREADABLE
        case _:
            return Refusal.FAILED


def error(refusal: Refusal, limit: float) -> AntiphonError:
    """The error that a refusal stands for; `limit` is the longest recording accepted, in seconds."""
    match refusal:
        case Refusal.TOO_LONG:
            return too_long(limit)
        case Refusal.TOO_SHORT:
            return AudioTooShort()
        case Refusal.NO_TRACK:
            return InvalidAudio(NO_TRACK)
        case Refusal.UNREADABLE:
            return InvalidAudio(UNREADABLE)
        case Refusal.FAILED:
            return EngineFailed("The speech engine failed to decode the recording.")


def too_long(limit: float) -> TooLarge:
    return TooLarge(
        f"The recording is too long. The longest accepted is {limit:g} seconds of sound.",
        param="file",
        code="audio_too_long",
    )
