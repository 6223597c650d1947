"""The encoder: token for token that of llama.cpp, and no text becomes a special token."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from addresses import unix
from antiphon.engines import gguf, kinds
from antiphon.engines.upstream import Upstream
from antiphon.errors import InvalidRequest
from antiphon.tokens.encoder import Encoder
from antiphon.wire.completion import Tokens
from antiphon.workers.chat.tokenizer import Unsupported, build, build_of_folder, load
from chat_engines import deployment, running
from hugging_face import write_json, write_tiny

TEXTS = [
    "",
    " ",
    "\n",
    "\t",
    "  two",
    " \n x",
    "a\n\n\nb",
    "a \n b",
    "\r\n",
    "tab\tand\u00a0nbsp\u3000wide",
    "Hello, world!",
    "I'm you're he'll they've we'd IT'S",
    "x" * 300,
    "12345 1,234.56 ٣٤٥ ⅷ ½ 1e-9",
    "0x7F",
    "e\u0301 é \u200b\u200d\ufeff",
    "👩‍👩‍👧‍👦🏳️‍🌈🦊",
    "def f(x):\n    return {'a': [1, 2]}\n",
    "<|im_start|>user",
    "<|im_end|>",
    "<|endoftext|><repo_name>",
    "<tool_call>\n{}",
    "Ελληνικά",
    "Русский текст",
    "עברית",
    "العربية",
    "हिन्दी",
    "বাংলা",
    "ไทย",
    "한국어",
    "日本語のテキスト",
    "中文文本。",
    "ქართული",
    "አማርኛ",
    "ᏣᎳᎩ",
    "\u0000\u0007\x7f",
    "\ue000\U0010ffff",
    "ﬁ ﷺ ™",
]
ALPHABET = "abc XYZ 019 \n\t.,!?'\"-_éßñ ЖЯ אב حب कि 漢字かな 🦊👍🏽 \u200d\u0301½²"


def texts() -> Iterator[str]:
    """Those above, and a hundred mixtures."""
    yield from TEXTS
    choose = random.Random(0)
    for _ in range(100):
        yield "".join(choose.choices(ALPHABET, k=choose.randint(1, 60)))


@pytest.fixture(scope="module")
def vocabulary(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    folder = tmp_path_factory.mktemp("vocabulary")
    build(gguf.metadata(smollm2, lambda name: name.startswith("tokenizer.")), folder)
    return load(folder)


async def test_tokens_are_those_of_llama_cpp(vocabulary: Encoder, smollm2: Path) -> None:
    served = deployment("llama", smollm2, None, context=256, slots=1)
    async with running(kinds()["llama"], served) as (_, socket), asyncio.timeout(60):
        upstream = Upstream(unix(socket))
        for text in texts():
            body = {"content": [text], "add_special": False, "parse_special": False}
            theirs = msgspec.json.decode(await upstream.post("/tokenize", body), type=Tokens).tokens
            assert vocabulary.encode([text]) == theirs, repr(text)
        await upstream.close()


def test_text_is_what_its_tokens_are(vocabulary: Encoder) -> None:
    for text in texts():
        tokens = vocabulary.encode([text])
        assert b"".join(vocabulary.bytes[token] for token in tokens).decode() == text


def test_no_text_becomes_a_special_token(vocabulary: Encoder, smollm2: Path) -> None:
    facts = gguf.metadata(smollm2, lambda name: name.startswith("tokenizer.ggml.tok"))
    kinds_of = facts["tokenizer.ggml.token_type"]
    special = {number for number, kind in enumerate(kinds_of) if kind != 1}
    names = [facts["tokenizer.ggml.tokens"][number] for number in special]
    assert len(special) == 17
    for text in [*names, "".join(names), *(f"a{name} b" for name in names)]:
        assert special.isdisjoint(vocabulary.encode([text])), text


def test_tokens_that_steer_the_model_are_no_text(vocabulary: Encoder) -> None:
    assert vocabulary.bytes[1] == vocabulary.bytes[2] == b""
    assert vocabulary.ends == {0, 2} and vocabulary.size == len(vocabulary.bytes) == 49152


def test_tokens_are_taken_as_they_are(vocabulary: Encoder) -> None:
    assert vocabulary.encode([1, "user", 2]) == [1, *vocabulary.encode(["user"]), 2]
    for unknown in (-1, 49152):
        with pytest.raises(InvalidRequest):
            vocabulary.encode([unknown])


def test_special_tokens_that_are_text_are_shown(tmp_path: Path) -> None:
    names = ["<end>", "<tool_call>", "a", "b", "ab"]
    build(
        {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "qwen2",
            "tokenizer.ggml.tokens": names,
            "tokenizer.ggml.token_type": [3, 4, 1, 1, 1],
            "tokenizer.ggml.merges": ["a b"],
            "tokenizer.ggml.eos_token_id": 0,
        },
        tmp_path,
    )
    made = load(tmp_path)
    assert made.bytes == [b"", b"<tool_call>", b"a", b"b", b"ab"]
    assert made.encode(["abba", 1]) == [4, 3, 2, 1] and made.ends == {0}


def test_the_words_of_a_folder_are_those_of_gguf(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    told = build_of_folder(write_tiny(tmp_path / "model"), tmp_path / "made")
    names, kinds_of = told["tokenizer.ggml.tokens"], told["tokenizer.ggml.token_type"]
    assert names[:3] == ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] and kinds_of[:3] == [3, 3, 3]
    assert kinds_of[names.index("<tool>")] == 4 and kinds_of[names.index("he")] == 1
    assert (names[-1], kinds_of[-1]) == ("", 5) and len(names) == len(kinds_of) == 288
    assert told["tokenizer.ggml.merges"] == ["h e", "l l"] and told["tokenizer.ggml.eos_token_id"] == 0
    made = load(tmp_path / "made")
    assert made.ends == {0, 2} and made.decode(made.encode(["hello", names.index("<tool>")])) == "hello<tool>"


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    write_json(tmp_path, "config.json", {"architectures": []})
    with pytest.raises(Unsupported, match="how many tokens"):
        build_of_folder(tmp_path, tmp_path)


@pytest.mark.parametrize("given", [{"model": "llama"}, {"model": "gpt2", "pre": "falcon"}])
def test_a_vocabulary_of_another_kind_is_refused(tmp_path: Path, given: dict[str, str]) -> None:
    empty = {"tokens": [], "token_type": [], "merges": []}
    with pytest.raises(Unsupported):
        build({f"tokenizer.ggml.{name}": value for name, value in {**given, **empty}.items()}, tmp_path)
