"""The scorer `endpoint`: another server of `POST /v1/moderations`, at the address that the settings name."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import msgspec

from antiphon.breaker import Breaker
from antiphon.errors import ConfigurationError, Unavailable
from antiphon.moderation.scoring import Scores
from antiphon.settings import Settings
from antiphon.wire.moderations import CATEGORIES, Answered

SECONDS = 10.0
"""Longest for one request, from the connection to the end of the answer."""
_BATCH = 32
_MOST_BYTES = 1_048_576
_KEY = re.compile(r"[\x21-\x7e]{1,4096}")

log = logging.getLogger(__name__)


class EndpointScorer:
    """Asked with a breaker and a deadline; where it leads on to is never followed, and its key goes
    nowhere else."""

    name = "endpoint"
    categories = frozenset(CATEGORIES)

    def __init__(self, url: str, model: str, key: str) -> None:
        self.problem = ""
        self.version = f"{url} {model}"
        self._url = url
        self._model = model
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._breaker = Breaker(seconds=5.0)
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """It is asked when there is something to ask."""

    async def score(self, texts: Sequence[str]) -> list[Scores]:
        found: list[Scores] = []
        for at in range(0, len(texts), _BATCH):
            found += await self._batch(texts[at : at + _BATCH])
        return found

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _batch(self, texts: Sequence[str]) -> list[Scores]:
        if not self._breaker.allows(time.monotonic()):
            raise Unavailable("The endpoint of moderation cannot be asked now.", retry_after=5)
        try:
            results = await self._ask(texts)
        except asyncio.CancelledError:
            self._breaker.untold()
            raise
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, ValueError) as problem:
            self._breaker.failed(time.monotonic())
            if not self.problem:
                log.warning("the endpoint of moderation fails: %s", type(problem).__name__)
            # Its text may hold the address.
            self.problem = f"it failed ({type(problem).__name__})"
            raise Unavailable("The endpoint of moderation failed.", retry_after=1) from None
        self._breaker.succeeded()
        self.problem = ""
        return results

    async def _ask(self, texts: Sequence[str]) -> list[Scores]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS))
        body = {"input": list(texts)} | ({"model": self._model} if self._model else {})
        async with self._session.post(
            self._url, json=body, headers=self._headers, allow_redirects=False
        ) as response:
            content = bytearray()
            async for piece in response.content.iter_chunked(65_536):
                content += piece
                if len(content) > _MOST_BYTES:
                    raise ValueError("too long an answer")
            if response.status != 200:
                raise ValueError("another status")
        results = msgspec.json.decode(bytes(content), type=Answered).results
        if len(results) != len(texts):
            raise ValueError("another number of results")
        return [_shares(one.category_scores) for one in results]


def _shares(scores: dict[str, float]) -> dict[str, float]:
    """Of the categories that there are, as shares: what another server says is not to be relied on."""
    return {name: min(1.0, max(0.0, scores[name])) for name in CATEGORIES if name in scores}


def build(settings: Settings) -> EndpointScorer:
    """Raises `ConfigurationError` without an address, or for a file that holds no key."""
    if not settings.moderation_url:
        raise ConfigurationError(
            "moderation_scorers names `endpoint`, but there is no address", fix="set `moderation_url`"
        )
    return EndpointScorer(
        settings.moderation_url, settings.moderation_model, _key(settings.moderation_key_file)
    )


def _key(path: str) -> str:
    if not path:
        return ""
    try:
        found = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        found = ""
    if not _KEY.fullmatch(found):
        raise ConfigurationError(
            f"moderation_key_file: {path} holds no key",
            fix="write the key alone into it, readable for Antiphon",
        )
    return found
