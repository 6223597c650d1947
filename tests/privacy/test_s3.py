"""Recordings in storage that speaks S3: a real server of it, which a package brings along."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bucket_server
from antiphon.errors import ConfigurationError
from antiphon.privacy.places import Missing
from antiphon.privacy.s3 import Bucket


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with bucket_server.serving() as url:
        yield url


@pytest.fixture
def environment(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    bucket_server.named(server, monkeypatch, tmp_path)
    return server


@pytest.fixture
def bucket(environment: str) -> Iterator[Bucket]:
    import boto3

    client = boto3.client("s3")
    client.create_bucket(Bucket="kept")
    place = Bucket("s3://kept/antiphon")
    yield place
    place.sweep("9999")
    client.close()
    place.close()


def test_what_is_put_is_there_until_it_is_deleted(bucket: Bucket) -> None:
    pieces = [bytes([number]) * 1_000_000 for number in range(20)]  # several parts
    bucket.put("2026-11-28/one", pieces)
    assert b"".join(bucket.pieces("2026-11-28/one")) == b"".join(pieces)
    bucket.put("2026-11-28/empty", [])
    assert b"".join(bucket.pieces("2026-11-28/empty")) == b""
    for _ in range(2):
        bucket.delete(["2026-11-28/one", "2026-11-28/two"])
    bucket.delete([])
    with pytest.raises(Missing):
        next(bucket.pieces("2026-11-28/one"))


def test_a_sweep_takes_what_is_of_days_before(bucket: Bucket) -> None:
    for day in ("2026-11-26", "2026-11-27", "2026-11-28"):
        bucket.put(f"{day}/one", [b"a"])
    bucket.sweep("2026-11-28")
    assert next(bucket.pieces("2026-11-28/one")) == b"a"
    for day in ("2026-11-26", "2026-11-27"):
        with pytest.raises(Missing):
            next(bucket.pieces(f"{day}/one"))


def test_a_sweep_leaves_alone_what_is_not_ours(bucket: Bucket) -> None:
    """A bucket without a prefix is shared by others; this one is as far as its names go."""
    whole = Bucket("s3://kept")
    whole.put("0-backups/one", [b"a"])
    whole.put("2026-11-27/one", [b"a"])
    whole.sweep("2026-11-28")
    assert next(whole.pieces("0-backups/one")) == b"a"
    with pytest.raises(Missing):
        next(whole.pieces("2026-11-27/one"))
    whole.delete(["0-backups/one"])
    whole.close()


def test_what_is_not_allowed_or_not_there_is_an_error_of_the_disk(environment: str) -> None:
    absent = Bucket("s3://absent")
    with pytest.raises(OSError, match="NoSuchBucket"):
        absent.sweep("2026-11-28")
    with pytest.raises(OSError, match="S3"):
        absent.put("2026-11-28/one", [b"a"])
    absent.close()


def test_a_server_that_is_away_is_an_error_of_the_disk(
    environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    away = Bucket("s3://kept")
    with pytest.raises(OSError, match="S3 cannot be used"):
        away.delete(["2026-11-28/one"])
    away.close()


def test_without_the_library_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ConfigurationError) as failed:
        Bucket("s3://kept")
    assert failed.value.fix == "make s3, or pip install 'antiphon[s3]'"
