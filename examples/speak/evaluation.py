"""How well the companion hears and tells: recordings of people, changed in known ways, and hesitation.

    python -m examples.speak.evaluation [--model gpt-3.5-turbo] [--speech-model whisper-1]

Needs a running server, set by OPENAI_BASE_URL and OPENAI_API_KEY, and writes evaluation.json beside it.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import csv
import io
import json
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openai.types.audio import TranscriptionWord

from examples.kit.chat import END
from examples.kit.evaluate import Findings
from examples.kit.serve import connected

from .feedback import feedback, plain
from .partner import Partner

HERE = Path(__file__).parent
PEOPLE = HERE.parents[1] / "tests" / "data"
WAV = "audio/wav"
STRANGE = "zebra"
SILENCE = 1.5
FASTER = 1.25


@dataclass
class Turn:
    """A recording, what was to be said, and what is known of it."""

    name: str
    recording: bytes
    media_type: str
    target: str
    fillers: list[str] = field(default_factory=list)
    pause: float | None = None
    pace: float | None = None


@dataclass(frozen=True)
class Sound:
    """Samples of one channel in 16 bits."""

    rate: int
    samples: array.array[int]

    def loudness(self, start: int, length: int) -> int:
        return sum(map(abs, self.samples[start : start + length]))

    def frames(self) -> list[int]:
        """The loudness of every 20 ms."""
        step = self.rate // 50
        return [self.loudness(at, step) for at in range(0, len(self.samples) - step, step)]

    def spoken_seconds(self) -> float:
        """From the first to the last frame that is not quiet."""
        frames = self.frames()
        loud = [n for n, frame in enumerate(frames) if frame > max(frames) / 20]
        return (loud[-1] - loud[0] + 1) / 50

    def with_silence(self, seconds: float) -> Sound:
        """With silence where it is quietest, in the middle third."""
        frames = self.frames()
        third = len(frames) // 3
        quietest = min(range(third, 2 * third), key=lambda n: sum(frames[n - 1 : n + 2])) * (self.rate // 50)
        silence = array.array("h", bytes(2 * int(seconds * self.rate)))
        return Sound(self.rate, self.samples[:quietest] + silence + self.samples[quietest:])

    def wav(self) -> bytes:
        written = io.BytesIO()
        with wave.open(written, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.rate)
            file.writeframes(self.samples.tobytes())
        return written.getvalue()


def opened(path: Path) -> Sound:
    with wave.open(str(path)) as file:
        return Sound(file.getframerate(), array.array("h", file.readframes(file.getnframes())))


def turns() -> Iterator[Turn]:
    """Every recording, and what is made of it."""
    with (PEOPLE / "manifest.tsv").open(encoding="utf-8") as manifest:
        rows = [row for row in csv.DictReader(manifest, delimiter="\t") if row["language"] == "en"]
    for row in rows:
        path, said = PEOPLE / row["path"], row["reference"]
        yield Turn(path.stem, path.read_bytes(), f"audio/{path.suffix[1:]}", said)
        if path.suffix == ".wav":
            sound = opened(path)
            pace = 60 * len(plain(said)) / sound.spoken_seconds()
            paused, fast = sound.with_silence(SILENCE).wav(), Sound(round(sound.rate * FASTER), sound.samples)
            yield Turn(f"{path.stem}, with a pause", paused, WAV, said, pause=SILENCE)
            yield Turn(f"{path.stem}, as it is", sound.wav(), WAV, said, pace=pace)
            yield Turn(f"{path.stem}, faster", fast.wav(), WAV, said, pace=pace * FASTER)
    for row in json.loads((HERE / "data" / "recordings.json").read_text()):
        recording = (HERE / "data" / row["file"]).read_bytes()
        yield Turn(row["file"], recording, "audio/ogg", row["says"], fillers=row["fillers"])


async def evaluated(partner: Partner, turn: Turn, findings: Findings) -> None:
    """What of the turn came out right, by kind."""
    heard = await partner.hear(turn.recording, turn.media_type)
    words = heard.words or []
    told = feedback(turn.target, words)
    checks = {"fillers: as many as there are": len(told["fillers"]) == len(turn.fillers)}
    answer = ""
    if turn.pause is not None:
        stops = [one["seconds"] for one in told["pauses"]]
        well = len(stops) == 1 and abs(stops[0] - turn.pause) <= 0.5
        checks["pauses: one, as long as it is to half a second"] = well
    elif turn.pace is not None:
        checks["pace: right to 15 %"] = abs((told["pace"] or 0) / turn.pace - 1) <= 0.15
    else:
        checks |= words_checks(told["compared"], words)
        answer = [text async for text in partner.answer([heard.text])][-1].strip()
        checks |= answer_checks(plain(heard.text), answer)
    findings.add(turn.name, checks, {"heard": heard.text.strip(), "answer": answer})


def words_checks(compared: list[dict[str, str]], words: Sequence[TranscriptionWord]) -> dict[str, bool]:
    wanted = [word for one in compared for word in one["wanted"].split()]
    same = sum(len(one["wanted"].split()) for one in compared if one["wanted"] == one["said"])
    middle = len(wanted) // 2
    changed = feedback(" ".join([*wanted[:middle], STRANGE, *wanted[middle + 1 :]]), words)["compared"]
    return {
        "words: nine of ten said right are told so": same >= 0.9 * len(wanted),
        "words: one of the sentence that was not said is told": any(
            STRANGE in one["wanted"].split() and one["wanted"] != one["said"] for one in changed
        ),
    }


def answer_checks(said: list[str], answer: str) -> dict[str, bool]:
    ends = [end.end() for end in END.finditer(answer)]
    return {
        "answers: one or two whole sentences": len(ends) in (1, 2) and ends[-1] == len(answer),
        "answers: more than an echo of what was said": not set(plain(answer)) <= set(said),
    }


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gpt-3.5-turbo")
    parser.add_argument("--speech-model", default="whisper-1")
    chosen = parser.parse_args()
    client = connected().with_options(max_retries=10)
    partner, findings = Partner(client, chosen.model, chosen.speech_model), Findings()
    for turn in turns():
        await evaluated(partner, turn, findings)
    findings.keep(HERE, models=[chosen.model, chosen.speech_model])


if __name__ == "__main__":
    asyncio.run(main())
