"""Speech at a URL: any server of OpenAI's API that transcribes, which somebody else runs.

Before it stands a process of ours, `antiphon.workers.relay`, which opens and measures recordings: what they
cost and whether they may be sent has to be known before, and servers tell it after, if at all.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from antiphon.address import Address
from antiphon.engines import remote
from antiphon.engines.base import EngineKind
from antiphon.engines.speech import SpeechEngine
from antiphon.settings import Settings
from antiphon.values import Deployment


def _command(deployments: Sequence[Deployment], settings: Settings, address: Address) -> list[str]:
    """Raises `ConfigurationError` for a URL that is not allowed, or a key that cannot be read."""
    [deployment] = deployments
    assert deployment.site is not None
    [url], key_file = deployment.site.urls, deployment.site.key_file
    remote.reached(deployment, 0, settings)
    return [
        sys.executable, "-m", "antiphon.workers.relay",
        "--listen", str(address),
        "--model", deployment.snapshot,
        "--url", url,
        "--name", deployment.site.model,
        "--slots", str(max(deployment.slots, settings.processes)),
        "--audio-seconds", str(settings.audio_seconds),
        *(("--key-file", key_file) if key_file else ()),
    ]  # fmt: skip


def _connect(deployments: Sequence[Deployment], settings: Settings, address: Address) -> SpeechEngine:
    return SpeechEngine(address)


ENGINE = EngineKind(
    name="openai_speech",
    task="speech",
    reads=frozenset({"upstream"}),
    apart="files",
    command=_command,
    connect=_connect,
)
