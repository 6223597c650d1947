"""The conductor of completions: several prompts, each gone on with as it is, in one request and one bill."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from antiphon.admission.limits import guessed_tokens
from antiphon.admission.rates import Show
from antiphon.engines.base import ChatEngine
from antiphon.inference.generation import BEGINNING, BEGINNING_TOKENS, Answer, Generation, Reading
from antiphon.values import Caller, CompletionJob, Prompt


class Completions(Generation):
    """Goes on with prompts, on the path of chat requests."""

    def answer(
        self, caller: Caller, job: CompletionJob, request_id: str, show: Show
    ) -> AbstractAsyncContextManager[Answer]:
        """The answer to `job`, its choices numbered prompt by prompt; see `Generation.generated`."""

        async def prepare(engine: ChatEngine) -> list[Prompt]:
            return await engine.tokenize(job.prompts)

        tokens = guessed_tokens(one for one in job.prompts if isinstance(one, str))
        tokens += sum(len(one) for one in job.prompts if not isinstance(one, str))
        first = job.prompts[0]
        reading = Reading(
            endpoint="completions",
            param="prompt",
            prompts=len(job.prompts),
            tokens=tokens,
            beginning=first[:BEGINNING] if isinstance(first, str) else str(first[:BEGINNING_TOKENS]),
            prepare=prepare,
        )
        return self.generated(caller, job.each, reading, request_id, show)
