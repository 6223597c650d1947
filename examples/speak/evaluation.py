"""How well the companion hears and tells: recordings of people, changed in known ways, and hesitation.

    python examples/speak/evaluation.py

Needs a running server, set by OPENAI_BASE_URL and OPENAI_API_KEY, and writes evaluation.json beside it.
"""

from __future__ import annotations

import array
import asyncio
import csv
import io
import json
import sys
import wave
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from feedback import feedback, plain
from openai import AsyncOpenAI
from partner import END, MOST_SENTENCES, Partner

HERE = Path(__file__).parent
PEOPLE = HERE.parents[1] / "tests" / "data"
STRANGE = "zebra"
SILENCE = 1.5
FASTER = 1.25


@dataclass
class Turn:
    """A recording, what was to be said, and what is known of it."""

    name: str
    recording: bytes
    kind: str
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
        yield Turn(path.stem, path.read_bytes(), path.suffix[1:], said)
        if path.suffix == ".wav":
            sound = opened(path)
            pace = 60 * len(plain(said)) / sound.spoken_seconds()
            paused, fast = sound.with_silence(SILENCE).wav(), Sound(round(sound.rate * FASTER), sound.samples)
            yield Turn(f"{path.stem}, with a pause", paused, "wav", said, pause=SILENCE)
            yield Turn(f"{path.stem}, as it is", sound.wav(), "wav", said, pace=pace)
            yield Turn(f"{path.stem}, faster", fast.wav(), "wav", said, pace=pace * FASTER)
    for row in json.loads((HERE / "data" / "recordings.json").read_text()):
        recording = (HERE / "data" / row["file"]).read_bytes()
        yield Turn(row["file"], recording, "ogg", row["says"], fillers=row["fillers"])


async def checks(partner: Partner, turn: Turn) -> dict[str, bool]:
    """What of the turn came out right, by kind."""
    text, words = await partner.hear(turn.recording, turn.kind)
    told = feedback(turn.target, words)
    found = {"fillers: as many as there are": len(told["fillers"]) == len(turn.fillers)}
    if turn.pause is not None:
        stops = [one["seconds"] for one in told["pauses"]]
        found["pauses: one, as long as it is to half a second"] = (
            len(stops) == 1 and abs(stops[0] - turn.pause) <= 0.5
        )
    elif turn.pace is not None:
        pace = told["pace"]
        found["pace: right to 15 %"] = pace is not None and abs(pace / turn.pace - 1) <= 0.15
    else:
        found |= words_checks(words, told["words"])
        answer = "".join([piece async for piece in partner.answer([], text)]).strip()
        found |= answer_checks(text, answer)
    return found


def words_checks(words: list[Any], compared: list[dict[str, str]]) -> dict[str, bool]:
    same = sum(one["kind"] == "same" for one in compared)
    wanted = [one["wanted"] for one in compared if one["wanted"]]
    middle = len(wanted) // 2
    changed = " ".join([*wanted[:middle], STRANGE, *wanted[middle + 1 :]])
    told = [one for one in feedback(changed, words)["words"] if one["wanted"] == STRANGE]
    return {
        "words: nine of ten said right are told so": same >= 0.9 * len(wanted),
        "words: one of the sentence that was not said is told": told[0]["kind"] in ("different", "missing"),
    }


def answer_checks(text: str, answer: str) -> dict[str, bool]:
    ends = [end.end() for end in END.finditer(answer)]
    whole = 1 <= len(ends) <= MOST_SENTENCES and ends[-1] == len(answer)
    return {
        "answers: one or two whole sentences": whole,
        "answers: more than an echo of what was said": bool(set(plain(answer)) - set(plain(text)))
        and plain(answer) != plain(text),
    }


async def main() -> None:
    model, speech_model = (sys.argv[1:] + ["gpt-3.5-turbo", "whisper-1"][len(sys.argv) - 1 :])[:2]
    partner = Partner(AsyncOpenAI(), model, speech_model)
    of, right, results = Counter[str](), Counter[str](), []
    for turn in turns():
        found = await checks(partner, turn)
        of.update(found.keys())
        right.update(kind for kind, well in found.items() if well)
        results.append({"turn": turn.name, "checks": found})
        print("." if all(found.values()) else "x", end="", flush=True)
    print()
    for kind in sorted(of):
        print(f"{kind:<60}{right[kind]:>4} of {of[kind]}")
    summary = {kind: [right[kind], of[kind]] for kind in sorted(of)}
    report = {"models": [model, speech_model], "date": date.today().isoformat(), "turns": len(results)}
    text = json.dumps(report | {"right_of": summary, "results": results}, indent=1)
    (HERE / "evaluation.json").write_text(text + "\n")


if __name__ == "__main__":
    asyncio.run(main())
