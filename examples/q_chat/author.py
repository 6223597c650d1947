"""What the model writes: questions, feedback and answers, each under one of the `grammars`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import grammars
import study
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from pydantic_core import from_json
from study import Passage
from tutor import Item, Verdict

CANDIDATES = 3
_HEART = "Text: The heart of an adult beats about 70 times a minute."
_LEAVES = "Text: Green leaves make sugar from light, which is called photosynthesis."
_PARIS = "Text: The capital of France is Paris, which lies on the Seine."
_ABOUT = (
    "You are a teacher. Ask a short question about the topic, which the text answers.",
    (f"{_HEART}\nTopic: heart", "How does the heart beat?"),
    (f"{_LEAVES}\nTopic: photosynthesis", "What is photosynthesis?"),
)
_ASKING_FOR = (
    "You are a teacher. Ask a question that has the given answer.",
    (f"{_HEART}\nAnswer: 70 times", "How many times does the heart of an adult beat?"),
    (f"{_LEAVES}\nAnswer: photosynthesis", "What is it called when green leaves make sugar from light?"),
    (f"{_PARIS}\nAnswer: Paris", "What is the capital of France?"),
)
_ANSWER = (
    "Answer the question in one sentence, from the text alone.",
    (
        f"{_HEART} That of a child is faster.\nQuestion: How fast is the heart?",
        "It beats about 70 times a minute.",
    ),
    (f"{_PARIS}\nQuestion: Where is Paris?", "Paris lies on the Seine."),
)


class Unusable(ValueError):
    """The model wrote nothing that can be shown."""


class Author:
    def __init__(self, client: AsyncOpenAI, model: str, tight: bool = True) -> None:
        self._client, self._model, self._tight = client, model, tight

    async def question(self, item: Item) -> str:
        """The best of some candidates. Raises `Unusable`, or what the client raises."""
        if item.names_term:
            text = item.passage.text
            pattern, messages = (
                grammars.about(text, item.term, self._tight),
                _messages(_ABOUT, f"Text: {text}\nTopic: {item.term}"),
            )
        else:
            pattern, messages = (
                grammars.asking_for(item.told, item.term, self._tight),
                _messages(_ASKING_FOR, f"Text: {item.told}\nAnswer: {item.term}"),
            )
        made = await self._client.chat.completions.create(
            model=self._model,
            messages=messages,
            response_format=grammars.form(pattern),
            n=CANDIDATES,
            temperature=0.4,
            max_tokens=60,
        )
        whole = [choice.message.content for choice in made.choices if choice.finish_reason == "stop"]
        asked = [json.loads(text)[grammars.FIELD] for text in whole if text]
        usable = [text for text in asked if item.names_term or item.term.lower() not in text.lower()]
        if not usable:
            raise Unusable("The model wrote no question that can be asked. Try the next one.")
        # One that names the term is best when short; one that asks for it, when it says much of the text.
        length = {text: len(study.content(text)) for text in usable}
        return min(usable, key=length.__getitem__) if item.names_term else max(usable, key=length.__getitem__)

    def feedback(self, item: Item, verdict: Verdict) -> AsyncIterator[str]:
        """One sentence with the right answer, in pieces."""
        right = verdict == "right"
        begin = "Yes," if right else "Remember that"
        task = (
            "You are a friendly teacher. Tell the student the right answer in one sentence.",
            (
                f"{_LEAVES}\nAnswer: photosynthesis",
                f"{begin} photosynthesis is when green leaves make sugar from light.",
            ),
            (f"{_HEART}\nAnswer: 70 times", f"{begin} the heart of an adult beats about 70 times a minute."),
        )
        pattern = grammars.feedback(item.told, item.term, right, self._tight)
        return self._stream(_messages(task, f"Text: {item.told}\nAnswer: {item.term}"), pattern)

    def answer(self, question: str, passages: list[Passage]) -> AsyncIterator[str]:
        """An answer of what the passages say, in pieces. The best one is read last, next to the question."""
        texts = [passage.text for passage in reversed(passages)]
        pattern = grammars.answer(study.closest(question, passages), self._tight)
        return self._stream(_messages(_ANSWER, f"Text: {' '.join(texts)}\nQuestion: {question}"), pattern)

    async def _stream(self, messages: list[ChatCompletionMessageParam], pattern: str) -> AsyncIterator[str]:
        written, shown = "", 0
        async with await self._client.chat.completions.create(
            model=self._model,
            messages=messages,
            response_format=grammars.form(pattern),
            temperature=0,
            max_tokens=120,
            stream=True,
        ) as chunks:
            async for chunk in chunks:
                written += (chunk.choices[0].delta.content or "") if chunk.choices else ""
                read: Any = from_json(written, allow_partial="trailing-strings") if written.strip() else {}
                text = read.get(grammars.FIELD, "")
                if text[shown:]:
                    yield text[shown:]
                    shown = len(text)


def _messages(task: Any, asked: str) -> list[ChatCompletionMessageParam]:
    """The instruction, examples as earlier turns, and what is asked now."""
    system, *examples = task
    messages: list[ChatCompletionMessageParam] = [{"role": "system", "content": system}]
    for said, text in examples:
        messages.append({"role": "user", "content": said})
        messages.append({"role": "assistant", "content": json.dumps({grammars.FIELD: text})})
    return [*messages, {"role": "user", "content": asked}]
