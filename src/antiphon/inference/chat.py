"""The conductor of chat requests."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from antiphon.admission.limits import guessed_tokens
from antiphon.admission.rates import Show
from antiphon.engines.base import ChatEngine
from antiphon.errors import ModelNotFound, UnsupportedParameter
from antiphon.inference.attempts import begun
from antiphon.inference.generation import BEGINNING, Answer, Generation, Reading
from antiphon.values import Caller, ChatJob, Prompt, Snapshot


class Chat(Generation):
    """Answers chat requests; one streaming path serves streamed and whole answers alike."""

    def answer(
        self, caller: Caller, job: ChatJob, request_id: str, show: Show
    ) -> AbstractAsyncContextManager[Answer]:
        """The answer to `job`; see `Generation.generated`."""

        async def prepare(engine: ChatEngine) -> list[Prompt]:
            return [await engine.prepare(job.messages, job.functions)]

        tokens = guessed_tokens(message.content for message in job.messages)
        beginning = job.messages[0].content[:BEGINNING] if job.messages else ""
        reading = Reading(
            endpoint="chat.completions",
            param="messages",
            prompts=1,
            tokens=tokens,
            beginning=beginning,
            prepare=prepare,
        )
        return self.generated(caller, job, reading, request_id, show)

    def hears(self, caller: Caller, model: str) -> str:
        """The model that transcribes recordings for this one; none if empty, or if that is not served.

        Raises `ModelNotFound`.
        """
        named = self._resolve(caller, model, "chat").hears
        try:
            return self._resolve(caller, named, "speech").id if named else ""
        except (ModelNotFound, UnsupportedParameter):
            return ""

    async def render(self, caller: Caller, job: ChatJob) -> tuple[Snapshot, Prompt]:
        """What the model would read for `job.messages`. It takes no place: nothing is generated."""
        way = self._way(caller, self._resolve(caller, job.model, "chat"))

        async def prepare(engine: ChatEngine, _: object) -> Prompt:
            return await engine.prepare(job.messages, job.functions)

        async with begun(way.pool, prepare) as (_, prompt):
            pass
        if not prompt.text:
            raise UnsupportedParameter(
                "This model is served elsewhere: what it reads cannot be shown.",
                param="model",
                code="unsupported_value",
            )
        return way.snapshot, prompt
