"""The Hugging Face hub, or a mirror named by HF_ENDPOINT: what a repository holds, and its files.

Downloads go through `http_get`, not `hf_hub_download`: the latter throws away what an interrupted download
had, and models are large.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from antiphon.catalogue.digest import Report
from antiphon.catalogue.entries import HubSource
from antiphon.errors import ConfigurationError

_SECONDS = 30.0


class HubFile(msgspec.Struct, frozen=True):
    """A file of a repository; the hub states the sha256 of large ones only."""

    path: str
    size: int
    sha256: str | None


class Repository(msgspec.Struct, frozen=True, kw_only=True):
    """A repository at one commit."""

    source: HubSource
    files: list[HubFile]
    modified: date
    licence: str


def describe(repo: str, revision: str) -> Repository:
    """Look a repository up; `revision` is a branch, a tag or a commit. Raises `ConfigurationError`."""
    from huggingface_hub import HfApi  # slow to import, and rarely needed

    with _explained(repo):
        info = HfApi(endpoint=_endpoint()).model_info(
            repo, revision=revision, files_metadata=True, timeout=_SECONDS
        )
    files = [HubFile(s.rfilename, s.size or 0, s.lfs.sha256 if s.lfs else None) for s in info.siblings or []]
    licences = [tag.removeprefix("license:") for tag in info.tags or [] if tag.startswith("license:")]
    try:
        source = msgspec.convert({"kind": "hub", "repo": repo, "revision": info.sha}, HubSource)
    except msgspec.ValidationError as problem:
        raise ConfigurationError(
            f"hf:{repo} cannot be used: {problem}", fix="name it as hf:ORG/REPO"
        ) from None
    modified = info.last_modified.date() if info.last_modified else date.today()
    return Repository(source=source, files=files, modified=modified, licence=(licences or ["unknown"])[0])


def download(source: HubSource, path: str, size: int, target: Path, report: Report, *, resume: bool) -> None:
    """Bring a file of `size` bytes to `target`, going on from what is there if `resume`.

    A connection that breaks is taken up again a few times; after that the part received stays for next time.
    Raises `ConfigurationError`.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    if target.exists() and (not resume or target.stat().st_nlink > 1 or target.stat().st_size > size):
        target.unlink()  # a hard link must not be written to: its bytes are someone else's
    with _explained(source.repo), target.open("ab") as file:
        http_get(
            hf_hub_url(source.repo, path, revision=source.revision, endpoint=_endpoint()),
            file,
            resume_size=file.tell(),
            headers={**build_hf_headers(), "Accept-Encoding": "identity"},
            expected_size=size,
            tqdm_class=_reporting(report),
        )


def _reporting(report: Report) -> type:
    """What `http_get` takes for a progress bar."""

    class Bar:
        def __init__(self, *, initial: int = 0, **_: Any) -> None:
            self._done = initial
            report(initial)

        def update(self, received: int) -> None:
            self._done += received
            report(self._done)

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing to close."""

    return Bar


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


@contextmanager
def _explained(repo: str) -> Iterator[None]:
    """Turn the library's errors into one line and a fix."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except GatedRepoError:
        raise ConfigurationError(
            f"hf:{repo} wants its terms accepted first", fix="accept them on the hub and set HF_TOKEN"
        ) from None
    except RepositoryNotFoundError:
        raise ConfigurationError(
            f"There is no hf:{repo}, or it is private", fix="check the name; for a private one set HF_TOKEN"
        ) from None
    except (RevisionNotFoundError, EntryNotFoundError):
        raise ConfigurationError(
            f"hf:{repo} has no such file or revision", fix="look at its files on the hub"
        ) from None
    except (HTTPError, OSError, ValueError) as problem:
        if isinstance(problem, OSError) and problem.errno is not None:
            raise  # this machine's own trouble, a full disk for instance
        said = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise ConfigurationError(
            f"hf:{repo} could not be read: {said}",
            fix="check the network (HF_ENDPOINT, HTTPS_PROXY) and pull again; it goes on where it stopped",
        ) from None
