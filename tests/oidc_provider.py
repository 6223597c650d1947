"""A provider of OpenID Connect on this machine, whose users are whoever a test says."""

from __future__ import annotations

import hashlib
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode

import flask
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

CLIENT, SECRET = "console", "a client's secret"


class OidcProvider:
    """`user` are the claims of whoever signs in; `spoil` changes a token before it is signed."""

    def __init__(self) -> None:
        self.user: dict[str, Any] = {"sub": "1", "email": "kim@example.com", "email_verified": True}
        self.spoil: dict[str, Any] = {}
        self.key = self._published = RSAKey.generate_key(2048, {"kid": "1", "use": "sig"})
        self.issuer = ""
        self._codes: dict[str, dict[str, str]] = {}
        self.app = flask.Flask("oidc")
        self.app.add_url_rule("/.well-known/openid-configuration", view_func=self._document)
        self.app.add_url_rule("/authorize", view_func=self._authorize)
        self.app.add_url_rule("/token", view_func=self._token, methods=["POST"])
        self.app.add_url_rule("/keys", view_func=self._keys)

    def sign_with_another_key(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "1", "use": "sig"})

    def _document(self) -> Any:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }

    def _authorize(self) -> Any:
        asked = flask.request.args.to_dict()
        assert asked["client_id"] == CLIENT and asked["code_challenge_method"] == "S256"
        code = token_urlsafe()
        self._codes[code] = asked
        return flask.redirect(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    def _token(self) -> Any:
        shown, asked = flask.request.authorization, self._codes.pop(flask.request.form["code"], None)
        digest = hashlib.sha256(flask.request.form.get("code_verifier", "").encode()).digest()
        right = shown is not None and (shown.username, shown.password) == (CLIENT, SECRET)
        if not right or asked is None:
            return {"error": "invalid_client"}, 401
        if urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return {"error": "invalid_grant"}, 400
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        token = jwt.encode({"alg": "RS256", "kid": "1"}, claims | self.user | self.spoil, self.key)
        return {"access_token": "none", "token_type": "Bearer", "id_token": token}

    def _keys(self) -> Any:
        return {"keys": [self._published.as_dict(private=False)]}


@contextmanager
def oidc_provider() -> Iterator[OidcProvider]:
    """One that runs for as long as the block does."""
    provider = OidcProvider()
    server = make_server("127.0.0.1", 0, provider.app, threaded=True)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
