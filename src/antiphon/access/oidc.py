"""Sign-in by OpenID Connect: a provider says whose address somebody has, by authorization code with PKCE.

The provider is the operator's choice. What is asked of it goes through Authlib and joserfc, in threads; what
has to be remembered meanwhile stays in the browser, signed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Any, cast

import msgspec
import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from antiphon.access.pepper import load_pepper
from antiphon.errors import ConfigurationError, Unauthenticated, Unavailable
from antiphon.settings import Settings

SECONDS = 5.0
"""For each question to the provider."""
PENDING_SECONDS = 600
"""For people to sign in at the provider."""
_DOCUMENT_SECONDS = 3600.0
_LARGEST = 1 << 20
_ALGORITHMS = ["RS256", "ES256", "PS256", "EdDSA"]
_LEEWAY = 60
_log = logging.getLogger("antiphon.access")


class Pending(msgspec.Struct, frozen=True):
    """What a browser keeps between the two halves of a sign-in."""

    state: str
    nonce: str
    verifier: str
    next: str
    until: int


class Provider:
    """The provider of these settings, which name one. `pepper` as `load_pepper` gives it.

    Raises `ConfigurationError` for a secret that cannot be read.
    """

    def __init__(self, settings: Settings, pepper: bytes) -> None:
        self.name = settings.oidc_name
        self._issuer = settings.oidc_issuer.rstrip("/")
        self._client = settings.oidc_client
        self._secret = _secret(settings.oidc_secret_file)
        self._pepper = pepper
        self._document: tuple[float, dict[str, Any]] | None = None

    async def begin(self, back: str, next: str) -> tuple[str, str]:
        """Where to send the browser, and what it keeps meanwhile; `back` is where the provider leads it then.

        Raises `Unavailable` if the provider does not answer.
        """
        pending = Pending(
            state=secrets.token_urlsafe(24),
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            next=next,
            until=int(time.time()) + PENDING_SECONDS,
        )
        address = await asyncio.to_thread(self._address, pending, back)
        return address, self._signed(msgspec.json.encode(pending))

    async def finish(self, kept: str, state: str, code: str, back: str) -> tuple[str, str]:
        """The address that the provider vouches for, and where the person wanted to go.

        Raises `Unauthenticated` for anything that is not as it must be, and `Unavailable`.
        """
        pending = self._pending(kept)
        if not (code and state and hmac.compare_digest(pending.state.encode(), state.encode())):
            raise Unauthenticated("This sign-in was not begun here. Please try again.")
        claims = await asyncio.to_thread(self._claims, pending, code, back)
        email, verified = claims.get("email"), claims.get("email_verified")
        if not isinstance(email, str) or verified not in (True, "true"):
            raise Unauthenticated(f"{self.name} did not say that your address is verified.")
        return email, pending.next

    # --- in threads ----------------------------------------------------------------------------------------

    def _address(self, pending: Pending, back: str) -> str:
        document = self._described()
        with self._session(back) as session:
            address, _ = session.create_authorization_url(
                document["authorization_endpoint"],
                state=pending.state,
                nonce=pending.nonce,
                code_verifier=pending.verifier,
            )
        return str(address)

    def _claims(self, pending: Pending, code: str, back: str) -> dict[str, Any]:
        document = self._described()
        try:
            with self._session(back) as session:
                token = session.fetch_token(
                    document["token_endpoint"], code=code, code_verifier=pending.verifier, timeout=SECONDS
                )
            keys = KeySet.import_key_set(cast(Any, _fetched(document["jwks_uri"])))
            found = jwt.decode(str(token["id_token"]), keys, algorithms=_ALGORITHMS)
            registry = jwt.JWTClaimsRegistry(
                leeway=_LEEWAY,
                iss={"essential": True, "value": document["issuer"]},
                aud={"essential": True, "value": self._client},
                exp={"essential": True},
                nonce={"essential": True, "value": pending.nonce},
            )
            registry.validate(found.claims)
        except requests.RequestException as problem:
            raise self._away(problem) from None
        except (JoseError, OAuthError, KeyError, ValueError, TypeError) as problem:
            _log.warning("a sign-in by %s was not right: %s", self._issuer, type(problem).__name__)
            raise Unauthenticated(f"{self.name} did not confirm this sign-in. Please try again.") from None
        return found.claims

    def _session(self, back: str) -> OAuth2Session:
        return OAuth2Session(
            self._client,
            self._secret,
            scope="openid email profile",
            redirect_uri=back,
            code_challenge_method="S256",
        )

    def _described(self) -> dict[str, Any]:
        """The provider's own description, read once an hour."""
        now = time.monotonic()
        if self._document is None or self._document[0] <= now:
            try:
                found = _fetched(f"{self._issuer}/.well-known/openid-configuration")
            except (requests.RequestException, ValueError) as problem:
                raise self._away(problem) from None
            if str(found.get("issuer", "")).rstrip("/") != self._issuer:
                raise Unavailable(f"{self.name} says that it is another issuer than the one in the settings.")
            self._document = now + _DOCUMENT_SECONDS, found
        return self._document[1]

    def _away(self, problem: Exception) -> Unavailable:
        _log.warning("the provider of sign-ins, %s: %s", self._issuer, type(problem).__name__)
        return Unavailable(f"{self.name} does not answer. Please try again, or use your password.")

    # --- what the browser keeps ----------------------------------------------------------------------------

    def _signed(self, content: bytes) -> str:
        seal = hmac.digest(self._pepper, b"oidc\0" + content, hashlib.sha256)
        return urlsafe_b64encode(seal + content).decode()

    def _pending(self, kept: str) -> Pending:
        try:
            content = urlsafe_b64decode(kept.encode())
            seal, said = content[:32], content[32:]
            right = hmac.compare_digest(seal, hmac.digest(self._pepper, b"oidc\0" + said, hashlib.sha256))
            pending = msgspec.json.decode(said, type=Pending) if right else None
        except (ValueError, msgspec.MsgspecError):
            pending = None
        if pending is None or pending.until <= time.time():
            raise Unauthenticated("This sign-in took too long, or was not begun here. Please try again.")
        return pending


def provider_of(settings: Settings) -> Provider | None:
    """The provider that the settings name, if they do. Blocks on the disk; raises as `Provider` does."""
    if not settings.oidc_issuer:
        return None
    if not settings.oidc_client:
        raise ConfigurationError(
            "oidc_issuer is set and oidc_client is not", fix="set the client id that the provider gave you"
        )
    return Provider(settings, load_pepper(settings.home_path))


def _fetched(address: str) -> dict[str, Any]:
    """A JSON object. Raises `requests.RequestException`, or `ValueError` for anything else."""
    with requests.get(address, timeout=SECONDS, allow_redirects=False, stream=True) as answer:
        answer.raise_for_status()
        content = answer.raw.read(_LARGEST + 1, decode_content=True)
    if answer.status_code != 200 or len(content) > _LARGEST:
        raise ValueError("no document")
    return msgspec.json.decode(content, type=dict[str, Any])


def _secret(path: str) -> str:
    try:
        return Path(path).read_text().strip() if path else ""
    except OSError as problem:
        raise ConfigurationError(
            f"oidc_secret_file: {path} cannot be read: {problem.strerror}",
            fix="name a file that holds the client's secret alone",
        ) from None
