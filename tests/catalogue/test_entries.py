"""No catalogue can name a file outside its folder, nor one of a kind that can carry code."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from antiphon.catalogue.entries import Entry
from antiphon.values import Capacity, Site

FILE = {"name": "model.gguf", "size": 5, "sha256": "0" * 64}
ENTRY: dict[str, Any] = {
    "id": "tiny-2024-01-01",
    "task": "chat",
    "engine": "llama",
    "owned_by": "us",
    "licence": "MIT",
    "released": date(2024, 1, 1),
    "context": 512,
    "source": {"kind": "path", "path": "/models"},
    "files": [FILE],
}


def convert(**changed: Any) -> Entry:
    return msgspec.convert(ENTRY | changed, Entry)


def test_an_entry_is_a_snapshot_with_its_files() -> None:
    entry = convert(files=[FILE, FILE | {"name": "more.safetensors", "size": 7}])
    assert (entry.id, entry.slots, entry.size) == ("tiny-2024-01-01", 1, 12)
    assert entry.files[0].origins == ("model.gguf",)


@pytest.mark.parametrize(
    ("names", "format"),
    [
        (["model.gguf"], "gguf"),
        (
            [
                *("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"),
                *("chat_template.jinja", "model.safetensors"),
            ],
            "safetensors",
        ),
        (["config.json", "model.bin", "tokenizer.json", "vocabulary.txt"], "ctranslate2"),
    ],
)
def test_its_format_is_told_by_its_files(names: list[str], format: str) -> None:
    assert convert(files=[FILE | {"name": name} for name in names]).format == format


def test_an_embedding_model_says_how_it_pools_and_how_long_its_vectors_are() -> None:
    facts = {"task": "embedding", "engine": "llama_embeddings", "pooling": "mean", "dimensions": [64, 32]}
    assert convert(**facts).dimensions == (64, 32)
    for wrong in ({"pooling": None}, {"dimensions": []}, {"dimensions": [64, 0]}, {"pooling": "rank"}):
        with pytest.raises(msgspec.ValidationError, match="pooling"):
            convert(**facts | wrong)
    with pytest.raises(msgspec.ValidationError, match="a model for embedding needs its `context`"):
        convert(**facts, context=0)


def test_each_engine_may_have_slots_of_its_own() -> None:
    entry = convert(slots={"openvino": 32, "llama": 8})
    assert [entry.slots_of(name) for name in ("openvino", "llama", "vllm")] == [32, 8, 8]
    assert convert(slots=4).slots_of("llama") == 4


@pytest.mark.requirement("R21")
@pytest.mark.parametrize(
    "name",
    [
        "../model.gguf", "a/b.gguf", "/etc/x.gguf", "..", ".gguf", "-x.gguf", "x.gguf\n", "x.gguf\0", "x.pkl",
        "pytorch_model.bin", "model.pt", "modeling_llama.py", "tokenizer.py", "chat_template.jinja.py",
        "other_config.json", "template.jinja", "model.safetensors.index.json",
        "x.py", "config.json.py", "x.GGUF", "a\\b.gguf", "x" * 250 + ".gguf",
    ],
)  # fmt: skip
def test_a_file_name_that_is_not_a_plain_model_file_is_refused(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        convert(files=[FILE | {"name": name}])


@pytest.mark.parametrize("part", ["../x.gguf", "a/../../x.gguf", "/etc/passwd", "", "a\\b", "a\0b"])
def test_a_part_that_could_leave_its_source_is_refused(part: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="not a path inside the source"):
        convert(files=[FILE | {"parts": [part]}])


@pytest.mark.parametrize("id", ["", ".", "..", ".partial", "a/b", "../a", "a b", "a\n", "x" * 200])
def test_an_id_that_is_no_folder_name_is_refused(id: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        convert(id=id)


@pytest.mark.parametrize(
    "changed",
    [
        {"context": 0},
        {"files": []},
        {"files": [FILE, FILE]},
        {"files": [FILE | {"sha256": "0" * 63}]},
        {"files": [FILE | {"size": 0}]},
        {"source": {"kind": "path", "path": "models"}},
        {"source": {"kind": "hub", "repo": "org/repo", "revision": "main"}},
        {"source": {"kind": "ftp", "path": "/models"}},
        {
            "source": {"kind": "hub", "repo": "org/repo", "revision": "0" * 40},
            "files": [FILE | {"parts": ["a", "b"]}],
        },
        {"engine": ["llama", "llama"]},
        {"engine": []},
        {"cache_tokens": 1},
        {"engine": "../llama"},
        {"slots": 0},
        {"slots": {}},
        {"slots": {"llama": 0}},
        {"vllm": {"tensor_parallel_size": 0}},
        {"vllm": {"tensor_parallel_size": True}},
        {"vllm": {"distributed_executor_backend": "external_launcher"}},
        {"vllm": {"gpu_memory_utilization": 1.5}},
        {"vllm": {"trust_remote_code": True}},
        {"colour": "red"},
    ],
)
def test_what_could_not_be_served_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        convert(**changed)


def test_an_offer_has_a_price_exact_to_the_nano_dollar() -> None:
    offer = convert(dedicated={"price_per_hour": "37.500000001"}).dedicated
    assert offer is not None and (offer.price, offer.context, offer.load) == (37_500_000_001, None, None)
    assert convert().dedicated is None
    for wrong in ("-1", "1e3", "", "1.", "12345678", "1.0000000001", "1,5", "1\n"):
        with pytest.raises(msgspec.ValidationError, match="price_per_hour"):
            convert(dedicated={"price_per_hour": wrong})
    for wrong in ({"load": 0}, {"load": 257}, {"context": 0}, {"colour": 1}):
        with pytest.raises(msgspec.ValidationError):
            convert(dedicated={"price_per_hour": "1"} | wrong)


def test_a_processor_and_twice_its_size_are_reserved_unless_something_else_is_said() -> None:
    assert convert().reserved == Capacity(cpus=1000, memory=10)
    assert convert(needs={"cpus": 2.5, "memory_mib": 1}).reserved == Capacity(cpus=2500, memory=2**20)
    assert convert(needs={"gpus": 1}).reserved == Capacity(memory=10, gpus=1)
    assert convert(needs={"gpus": 1, "cpus": 1}).reserved == Capacity(cpus=1000, memory=10, gpus=1)


SEVERAL = {"kind": "upstream", "url": ["http://a/v1", "https://b/v1"], "model": "x/y", "key_file": "/key"}
UPSTREAM = {"source": {"kind": "upstream", "url": "http://10.0.0.5:8000/v1"}, "files": []}


def test_what_is_served_at_a_url_has_no_files() -> None:
    entry = convert(**UPSTREAM)
    assert entry.site == Site(("http://10.0.0.5:8000/v1",), "tiny-2024-01-01")
    assert (entry.format, entry.size, entry.scale.least) == ("upstream", 0, 1)
    entry = convert(source=SEVERAL, files=[])
    assert entry.site == Site(("http://a/v1", "https://b/v1"), "x/y", "/key")
    assert (entry.scale.least, entry.scale.most) == (2, 2), "each is a replica"
    assert convert().site is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"files": []}, "has `files`"),
        (UPSTREAM | {"files": [FILE]}, "no `files`"),
        (UPSTREAM | {"replicas": 2}, "`replicas`"),
        (UPSTREAM | {"template": "smollm2"}, "`template`"),
        ({"source": {"kind": "upstream", "url": "ftp://a/v1"}, "files": []}, "url"),
        ({"source": {"kind": "upstream", "url": "http://a:99999/v1"}, "files": []}, "Port"),
        ({"source": {"kind": "upstream", "url": "http://u:p@a/v1"}, "files": []}, "url"),
        ({"source": {"kind": "upstream", "url": "http://a/v1?x=1"}, "files": []}, "url"),
        ({"source": {"kind": "upstream", "url": "http://a/v1\r\nx: y"}, "files": []}, "url"),
        ({"source": {"kind": "upstream", "url": "http://a/v1", "key_file": "key"}, "files": []}, "key_file"),
        ({"source": {"kind": "upstream", "url": "http://a/v1", "key": "sk"}, "files": []}, "key"),
        ({"task": "speech", "source": SEVERAL, "files": []}, "one URL"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_at_a_url(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=said):
        convert(**wrong)
