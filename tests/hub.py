"""A server on this machine that speaks the Hugging Face hub's protocol, and can fail as networks do."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 1024
"""Files of at least this many bytes are kept as the hub keeps large ones: by sha256, elsewhere."""


class Hub:
    """What the server holds, and what it was asked. `files` maps (repository, path) to content."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], bytes] = {}
        self.claimed: dict[str, str] = {}
        """A path's sha256 as the hub states it, where that is not the true one."""
        self.cut_after: int | None = None
        """The next body ends after this many bytes, though more were announced."""
        self.broken = False
        """Every download is answered 500."""
        self.broken_after_cut = False
        """Whether it breaks for good with the next cut."""
        self.ignores_ranges = False
        self.asked: list[tuple[str, str, str | None]] = []
        """Method, path and Range header of each request."""
        self.tokens: set[str] = set()
        """Authorization headers that came to the hub itself."""
        self.strangers_saw: list[str] = []
        """Authorization headers that came to the storage host, to which they must never go."""
        self.endpoint = ""

    def ranges(self) -> list[str | None]:
        """The Range headers of the downloads, in order."""
        return [range for method, path, range in self.asked if method == "GET" and path.startswith("/lfs/")]

    def sha256(self, repo: str, path: str) -> str:
        return self.claimed.get(path) or hashlib.sha256(self.files[repo, path]).hexdigest()

    def describe(self, repo: str) -> dict[str, object]:
        siblings: list[dict[str, object]] = []
        for (owner, path), content in self.files.items():
            if owner == repo:
                facts: dict[str, object] = {"rfilename": path, "size": len(content), "blobId": _git(content)}
                if len(content) >= LARGE:
                    sha256 = self.sha256(repo, path)
                    facts["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
                siblings.append(facts)
        return {
            "id": repo,
            "sha": COMMIT,
            "lastModified": "2024-11-01T10:00:00.000Z",
            "tags": ["license:apache-2.0"],
            "siblings": siblings,
        }


@contextmanager
def serving() -> Iterator[Hub]:
    """The hub on a free port of this machine."""
    hub = Hub()

    class Handler(_Handler):
        store = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    store: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def _answer(self) -> None:
        path = unquote(self.path.partition("?")[0])
        self.store.asked.append((self.command, path, self.headers.get("Range")))
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self._info(found[1], found[2] or "main")
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(found[1], found[2], found[3])
        elif found := re.fullmatch(r"/lfs/([^/]+/[^/]+)/(.+)", path):
            if "authorization" in self.headers:
                self.store.strangers_saw.append(self.headers["authorization"])
            self._content(self.store.files[found[1], found[2]])
        else:
            self._refuse(404, "EntryNotFound")

    def _info(self, repo: str, revision: str) -> None:
        if not any(owner == repo for owner, _ in self.store.files):
            self._refuse(404, "RepoNotFound")
        elif revision not in ("main", COMMIT):
            self._refuse(404, "RevisionNotFound")
        else:
            self._send(
                200, {"Content-Type": "application/json"}, json.dumps(self.store.describe(repo)).encode()
            )

    def _resolve(self, repo: str, revision: str, path: str) -> None:
        content = self.store.files.get((repo, path))
        if "authorization" in self.headers:
            self.store.tokens.add(self.headers["authorization"])
        if content is None or revision not in ("main", COMMIT):
            self._refuse(404, "EntryNotFound")
        elif self.store.broken:
            self._refuse(500, "")
        elif len(content) < LARGE:
            self._content(content, {"ETag": f'"{_git(content)}"', "X-Repo-Commit": COMMIT})
        else:
            # Large files live on another host: here the same server under its other name.
            host = self.store.endpoint.replace("127.0.0.1", "localhost")
            headers = {
                "Location": f"{host}/lfs/{repo}/{path}",
                "X-Repo-Commit": COMMIT,
                "X-Linked-Etag": f'"{self.store.sha256(repo, path)}"',
                "X-Linked-Size": str(len(content)),
            }
            self._send(302, headers, b"")

    def _content(self, content: bytes, headers: dict[str, str] | None = None) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and not self.store.ignores_ranges:
            start = int(asked[1])
            span = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            self._send(206, (headers or {}) | span, content[start:])
        else:
            self._send(200, (headers or {}) | {"Accept-Ranges": "bytes"}, content)

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, {"X-Error-Code": code} if code else {}, b"")

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.store.cut_after is not None and len(body) > self.store.cut_after:
            body, self.store.cut_after = body[: self.store.cut_after], None
            self.store.broken = self.store.broken_after_cut
            self.close_connection = True
        self.wfile.write(body)


def _git(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
