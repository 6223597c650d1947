"""An answer that another engine goes on with, where the one that wrote it broke off.

The other engine reads the prompt and what was written after it, and writes what follows: what the client has
seen stays as it is. That cannot be done for everything: what is held to a form, repeats a seed or counts
penalties depends on more than the text.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from msgspec.structs import replace

from antiphon.engines.base import ChatEngine
from antiphon.values import ChatJob, Delta, Prompt, Usage


class Continuation:
    """Follows an answer piece by piece, and goes on with it. `context` is the model's, in tokens."""

    def __init__(self, job: ChatJob, prompt: Prompt, context: int) -> None:
        self._job = job
        self._prompt = prompt
        self._context = context
        self._text: list[str] = []
        self._tokens = 0
        self._over = False

    @property
    def possible(self) -> bool:
        """Whether it can go on from where it is."""
        return not self._over

    def saw(self, piece: Delta | Usage) -> None:
        """Take note of a piece that was given."""
        if isinstance(piece, Delta):
            self._text.append(piece.text)
            self._tokens = piece.completion_tokens
            self._over |= piece.finish_reason is not None

    async def pieces(self, engine: ChatEngine) -> AsyncGenerator[Delta | Usage, None]:
        """What follows, with `engine`. Tokens count on; the prompt is counted once. Raises `EngineFailed`."""
        before = self._tokens
        prompt = await engine.continued(self._prompt, "".join(self._text))
        room = self._context - prompt.length
        left = room if self._job.max_tokens is None else min(room, self._job.max_tokens - before)
        read, written = self._prompt.length, before
        if left <= 0:
            yield Delta(0, finish_reason="length", completion_tokens=before)
        else:
            async with aclosing(engine.chat(replace(self._job, max_tokens=left), prompt)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Usage):
                        written += piece.completion_tokens
                    else:
                        yield replace(piece, completion_tokens=before + piece.completion_tokens)
        yield Usage(prompt_tokens=read, completion_tokens=written)


def continuation(jobs: Sequence[ChatJob], prompts: Sequence[Prompt], context: int) -> Continuation | None:
    """What follows the answer of these jobs; None if nothing could go on with it."""
    if len(jobs) != 1:
        return None
    [job], [prompt] = jobs, prompts
    depends = job.form is not None or job.seed is not None or job.presence_penalty or job.frequency_penalty
    # What others serve has no text here, though its tokens may be known: to try would blame the next server.
    if job.n != 1 or depends or not (prompt.text and prompt.tokens):
        return None
    return Continuation(job, prompt, context)
