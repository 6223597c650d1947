"""`/v1/embeddings` as clients see it: inputs of every kind, both encodings, shorter vectors, errors."""

from __future__ import annotations

import base64
import json
import struct
from array import array
from pathlib import Path
from typing import Any

import pytest

from antiphon.api.embedding_answer import embedding_list
from antiphon.storage import tables
from antiphon.values import Usage
from embedding_service import CONTEXT, EVEN, MODEL, ODD, WIDTH, ScriptedEmbeddings, embed, embedding, unit
from service import CHAT, SPEECH, serving


async def test_a_whole_answer(tmp_path: Path) -> None:
    async with embedding(tmp_path) as service:
        status, headers, body = await embed(service, input=["one two", "three"])
    assert status == 200 and headers["x-request-id"].startswith("req_")
    assert headers["openai-organization"] == "default" and "x-ratelimit-limit-requests" in headers
    assert body == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": EVEN},
            {"object": "embedding", "index": 1, "embedding": ODD},
        ],
        "model": MODEL,
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("one two", [(0, 1)]),
        (["one two", "one"], [(0, 1), (0,)]),
        ([7, 8], [(7, 8)]),
        ([[7, 8], [9]], [(7, 8), (9,)]),
    ],
)
async def test_inputs_of_every_kind(tmp_path: Path, sent: Any, read: list[tuple[int, ...]]) -> None:
    engine = ScriptedEmbeddings()
    async with embedding(tmp_path, engine) as service:
        status, _, body = await embed(service, input=sent, user="u", dimensions=None)
    assert status == 200 and engine.inputs == read
    assert body["usage"]["total_tokens"] == sum(map(len, read))


async def test_the_client_of_2023_names_the_model_in_the_path(tmp_path: Path) -> None:
    async with embedding(tmp_path) as service:
        status, _, body = await service.call("POST", f"/v1/engines/{MODEL}/embeddings", json={"input": "a"})
    assert (status, body["model"]) == (200, MODEL)


async def test_base64_is_little_endian(tmp_path: Path) -> None:
    async with embedding(tmp_path) as service:
        _, _, body = await embed(service, encoding_format="base64")
    found = struct.unpack(f"<{WIDTH}f", base64.b64decode(body["data"][0]["embedding"]))
    assert found == pytest.approx(EVEN, abs=1e-7)


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_a_shorter_vector_has_length_one_again(tmp_path: Path, encoding: str) -> None:
    async with embedding(tmp_path) as service:
        _, _, body = await embed(service, dimensions=2, encoding_format=encoding, input=["a b", "a"])
        whole = (await embed(service, dimensions=WIDTH))[2]
    found = [one["embedding"] for one in body["data"]]
    if encoding == "base64":
        found = [list(struct.unpack("<2f", base64.b64decode(one))) for one in found]
    half = 2**-0.5
    assert found == [pytest.approx([half, -half]), pytest.approx([-half, -half])]
    assert whole["data"][0]["embedding"] == EVEN


def test_numbers_tell_32_bit_floats_apart() -> None:
    several = array("f", [1 / 3, 0.1, 1e-9, -(2**-24), 0.33333334])
    [one] = json.loads(embedding_list("m", [several.tobytes()], Usage(), dimensions=None, encoding="float"))[
        "data"
    ]
    assert array("f", one["embedding"]) == several


def test_a_vector_without_a_direction_stays_as_it_is() -> None:
    beginning = array("f", [0.0, 0.0, 1.0]).tobytes()
    answer = embedding_list("m", [beginning], Usage(), dimensions=2, encoding="float")
    assert json.loads(answer)["data"][0]["embedding"] == [0, 0]


@pytest.mark.parametrize(
    ("fields", "param", "code", "said"),
    [
        ({"input": None}, "input", "invalid_type", ""),
        ({"input": ""}, "input", "invalid_value", ""),
        ({"input": []}, "input", "invalid_value", ""),
        ({"input": ["a", ""]}, "input[1]", "invalid_value", ""),
        ({"input": [[]]}, "input[0]", "invalid_value", ""),
        ({"input": ["a", 1]}, "input", "invalid_type", "array of strings, tokens"),
        ({"input": [[1], 2]}, "input", "invalid_type", ""),
        ({"input": [-1]}, "input[0]", "invalid_value", ""),
        ({"input": [True]}, "input[0]", "invalid_type", ""),
        ({"input": {"a": 1}}, "input", "invalid_type", ""),
        ({"input": ["a"] * 2049}, "input", "invalid_value", "2049 inputs are more than the 2048"),
        ({"input": ["w " * CONTEXT, "w " * (CONTEXT + 1)]}, "input", "context_length_exceeded", "8 tokens"),
        ({"input": [1] * (CONTEXT + 1)}, "input", "context_length_exceeded", "you requested 9 tokens"),
        ({"encoding_format": "int8"}, "encoding_format", "invalid_value", ""),
        ({"dimensions": 0}, "dimensions", "invalid_value", ""),
        ({"dimensions": 3}, "dimensions", "invalid_value", "vectors of 3 numbers, but of 4, 2"),
        ({"dimensions": 5}, "dimensions", "invalid_value", ""),
        ({"dimensions": "2"}, "dimensions", "invalid_type", ""),
        ({"truncate": True}, "truncate", "unknown_parameter", ""),
        ({"model": "gpt-3.5-turbo"}, "model", "unsupported_value", "does not make embeddings"),
        ({"model": "whisper-1"}, "model", "unsupported_value", "does not make embeddings"),
    ],
)
async def test_what_is_refused(
    tmp_path: Path, fields: dict[str, Any], param: str, code: str, said: str
) -> None:
    engine = ScriptedEmbeddings()
    async with embedding(tmp_path, engine) as service:
        status, _, body = await embed(service, **fields)
        assert engine.inputs == [] and not any(row.cost for row in await service.books.rows(tables.request))
    assert (status, body["error"]["param"], body["error"]["code"]) == (400, param, code)
    assert said in body["error"]["message"]


async def test_300_000_tokens_together_and_no_more(tmp_path: Path) -> None:
    engine = ScriptedEmbeddings()
    async with embedding(tmp_path, engine, changed={"context": 300_001}) as service:
        status, _, body = await embed(service, input=[[1] * 150_000] * 2)
        assert status == 200 and body["usage"]["prompt_tokens"] == 300_000
        status, _, body = await embed(service, input=[[1] * 150_000, [1] * 150_001])
    assert (status, body["error"]["param"]) == (400, "input")
    assert "300001 tokens are more than the 300000" in body["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
async def test_an_embedding_model_writes_nothing(tmp_path: Path, path: str) -> None:
    fields = {"messages": [{"role": "user", "content": "a"}]} if "chat" in path else {"prompt": "a"}
    async with embedding(tmp_path) as service:
        status, _, body = await service.call("POST", path, json={"model": MODEL, **fields})
    assert (status, body["error"]["param"], body["error"]["code"]) == (400, "model", "unsupported_value")


async def test_it_is_listed(tmp_path: Path) -> None:
    async with embedding(tmp_path) as service:
        _, _, listed = await service.call("GET", "/v1/models")
        _, _, one = await service.call("GET", "/v1/models/text-embedding-3-small")
    names = {model["id"]: model["alias_of"] for model in listed["data"]}
    assert names[MODEL] is None and names["text-embedding-3-small"] == MODEL == one["alias_of"]
    assert {CHAT, SPEECH} <= set(names)


async def test_a_model_that_is_not_there_is_404(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        status, _, body = await embed(service)
    assert (status, body["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("vector", [unit(()) + b"\0\0\0\0", unit(())[:8]])
async def test_vectors_of_another_length_are_an_error(tmp_path: Path, vector: bytes) -> None:
    async with embedding(tmp_path, ScriptedEmbeddings(lambda tokens: vector)) as service:
        status, _, body = await embed(service)
        paid = await service.books.only()
    assert (status, body["error"]["code"]) == (503, "engine_failed")
    assert (paid.status, paid.cost) == ("voided", 0)
