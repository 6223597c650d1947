"""The process of the local classifier: a line of JSON in, a line of JSON out, one text batch at a time.

In: `{"texts": [...]}`. Out: `{"scores": [[...], ...]}` in the order of the texts, each with a share for every
category; the first line out says which: `{"categories": [...]}`, or `{"missing": "why"}`, and then it ends.
"""

from __future__ import annotations

import os
import signal
import sys

import msgspec

from antiphon.workers.moderation.classifier import Missing, load
from antiphon.workers.parent import exit_with_parent
from antiphon.workers.speech.confine import leave_the_network

NICE = 10
"""Engines and the gateway come first."""


class Asked(msgspec.Struct, frozen=True):
    texts: list[str]


def main() -> None:
    # Ctrl-C reaches the whole group of the gateway, which lets running requests end first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    exit_with_parent()
    os.nice(NICE)
    leave_the_network()
    # What a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    try:
        classifier = load()
    except Missing as problem:
        answers.write(msgspec.json.encode({"missing": str(problem)}) + b"\n")
        return
    answers.write(msgspec.json.encode({"categories": classifier.categories}) + b"\n")
    decoder = msgspec.json.Decoder(Asked)
    for line in sys.stdin.buffer:
        scores = [classifier.score(text) for text in decoder.decode(line).texts]
        answers.write(msgspec.json.encode({"scores": scores}) + b"\n")


if __name__ == "__main__":
    main()
