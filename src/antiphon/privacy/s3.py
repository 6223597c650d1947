"""Recordings in storage that speaks S3. Credentials, region and endpoint come from the environment."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from antiphon.errors import ConfigurationError
from antiphon.privacy.days import is_day
from antiphon.privacy.places import Missing
from antiphon.privacy.recordings import PIECE

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SCHEME = "s3://"
_CONNECT_SECONDS = 5
_READ_SECONDS = 30
_TRIES = 3
_AT_ONCE = 1000
"""Names that one request may delete."""


class Bucket:
    """`address` is s3://bucket/prefix. Raises `ConfigurationError` where boto3 is not installed."""

    def __init__(self, address: str) -> None:
        try:
            import boto3  # slow to import, and seldom needed
            from boto3.s3.transfer import TransferConfig
            from botocore.config import Config
        except ImportError:
            raise ConfigurationError(
                "recordings are to be kept in S3, and boto3 is not installed",
                fix="make s3, or pip install 'antiphon[s3]'",
            ) from None
        self._bucket, _, prefix = address.removeprefix(SCHEME).partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        limits = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": _TRIES},
        )
        with _border():
            self._client: Any = boto3.client("s3", config=limits)
        # In the thread that asks, so that a recording is in memory by a part of 8 MiB.
        self._transfer = TransferConfig(use_threads=False)

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        with _border():
            body = io.BufferedReader(_Reader(pieces), PIECE)
            self._client.upload_fileobj(body, self._bucket, self._prefix + name, Config=self._transfer)

    def pieces(self, name: str) -> Iterator[bytes]:
        with _border():
            try:
                found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            except self._client.exceptions.NoSuchKey:
                raise Missing(f"the recording {name} is not in the bucket") from None
            yield from found["Body"].iter_chunks(PIECE)

    def delete(self, names: Sequence[str]) -> None:
        self._delete([self._prefix + name for name in names])

    def sweep(self, before: str) -> None:
        with _border():
            pages = self._client.get_paginator("list_objects_v2")
            found = pages.paginate(Bucket=self._bucket, Prefix=self._prefix, Delimiter="/")
            days = [day["Prefix"] for page in found for day in page.get("CommonPrefixes", ())]
            for folder in days:
                day = folder.removeprefix(self._prefix).removesuffix("/")
                if is_day(day) and day < before:
                    for page in pages.paginate(Bucket=self._bucket, Prefix=folder):
                        self._delete([one["Key"] for one in page.get("Contents", ())])

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _delete(self, keys: Sequence[str]) -> None:
        with _border():
            for start in range(0, len(keys), _AT_ONCE):
                some = [{"Key": key} for key in keys[start : start + _AT_ONCE]]
                wanted = {"Objects": some, "Quiet": True}
                answer = self._client.delete_objects(Bucket=self._bucket, Delete=wanted)
                if answer.get("Errors"):
                    code = answer["Errors"][0].get("Code", "")
                    raise OSError(f"S3 did not delete {len(answer['Errors'])} recordings: {code}")


class _Reader(io.RawIOBase):
    """Pieces as a file."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        into = memoryview(buffer)
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        taken = self._rest[: len(into)]
        into[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


@contextmanager
def _border() -> Iterator[None]:
    """Whatever the library says of storage, the network or credentials becomes an `OSError`."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as problem:
        code = problem.response.get("Error", {}).get("Code", "")
        raise OSError(f"S3 refused: {code}") from problem
    except (BotoCoreError, Boto3Error) as problem:
        raise OSError(f"S3 cannot be used: {type(problem).__name__}") from problem
