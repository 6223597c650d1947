"""Settings of a provider of sign-ins; what it does is tested by `tests/console/pages/test_vouched.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.access.oidc import Provider, provider_of
from antiphon.errors import ConfigurationError, Unauthenticated, Unavailable
from antiphon.settings import Settings


def test_there_is_none_unless_the_settings_name_one(tmp_path: Path) -> None:
    assert provider_of(Settings(home=str(tmp_path))) is None
    issuer = {"home": str(tmp_path), "oidc_issuer": "https://accounts.example.com"}
    with pytest.raises(ConfigurationError, match="oidc_client"):
        provider_of(Settings(**issuer))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        provider_of(Settings(**issuer, oidc_client="console", oidc_secret_file=str(tmp_path / "none")))
    assert isinstance(provider_of(Settings(**issuer, oidc_client="console")), Provider)


async def test_what_was_not_kept_by_this_browser_and_who_does_not_answer(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path), oidc_issuer="http://127.0.0.1:9", oidc_client="console")
    provider = Provider(settings, bytes(32))
    for kept in ("", "nonsense", "AAAA"):
        with pytest.raises(Unauthenticated):
            await provider.finish(kept, "state", "code", "http://127.0.0.1/back")
    with pytest.raises(Unavailable):
        await provider.begin("http://127.0.0.1/back", "/")
