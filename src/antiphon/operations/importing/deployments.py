"""What an entry of `model_list` is here: a model at a URL, one that may be pulled, or nothing, and why."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from antiphon.catalogue.entries import Url
from antiphon.engines import remote
from antiphon.operations.importing import providers
from antiphon.operations.importing.reading import VARIABLE, Config, Cost, Deployment, Params, resolved
from antiphon.values import Task

_SLOTS, _MOST_SLOTS = 64, 256
_NO_KEYS = {"", "none", "null", "empty", "dummy", "fake", "fake-key", "no-key", "not-needed", "anything"}
_NO_KEYS |= {"na", "n/a", "no-key-required", "sk-no-key-required", "sk-dummy", "sk-fake"}
"""What is written where a server asks for no key, and LiteLLM for one."""
_MODES: dict[str, Task] = {"chat": "chat", "responses": "chat", "audio_transcription": "speech"}
_UNSERVED = {
    "embedding": "embeddings are not asked of upstreams; pull an embedding model as GGUF (docs/models.md)",
    "completion": "completions of the old kind are not asked of upstreams (docs/models.md)",
}


class Secret(msgspec.Struct, frozen=True):
    """A key, by what tells it from others: a variable's name, or a digest of what is written."""

    variable: str
    digest: str = ""


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A model that others serve at `url`."""

    task: Task
    url: str
    model: str
    secret: Secret | None
    owned_by: str
    context: int | None
    slots: int
    price: dict[str, str]
    remarks: tuple[str, ...] = ()


class Pulled(msgspec.Struct, frozen=True):
    """A model that can be brought to this machine, and the command for it."""

    command: str


class Unserved(msgspec.Struct, frozen=True):
    """What has no counterpart."""

    reason: str


def read(
    config: Config, position: int, environment: Mapping[str, str], name: str
) -> Served | Pulled | Unserved:
    """What the deployment at `position` is. Raises `ConfigurationError` for what cannot be found out."""
    deployment = config.model_list[position]
    place = f"{name}: model_list[{position}].litellm_params"
    params = _with_credential(config, deployment.litellm_params)
    address = params.api_base or params.base_url or ""
    address = resolved(address, environment, f"{place}.api_base")
    model = resolved(params.model, environment, f"{place}.model")
    provider, model = providers.split(model, params.custom_llm_provider, elsewhere=bool(address))
    if "*" in deployment.model_name or "*" in model:
        return Unserved("every name is written for itself here, none with *")
    if reason := _unserved(deployment, provider):
        return Unserved(reason)
    if provider in providers.HERE:
        return _pulled(deployment, provider, model)
    site = providers.SPEAK[provider]
    url = _url(address or site.url, site.path)
    if not _fits(url):
        told = f"'{provider}' needs its api_base" if not url else "its api_base is no URL of a server"
        return Unserved(f"{told}, as http://10.0.0.5:8000/v1")
    return Served(
        task=_task(deployment, model),
        url=url,
        model=model,
        secret=_secret(params, "" if address and provider != "openai" else site.variable),
        owned_by=model.partition("/")[0] if "/" in model else provider,
        context=deployment.model_info.max_input_tokens or deployment.model_info.max_tokens,
        slots=max(1, min(params.max_parallel_requests or _SLOTS, _MOST_SLOTS)),
        price=_price(deployment),
        remarks=tuple(_remarks(config, position, url)),
    )


def _with_credential(config: Config, params: Params) -> Params:
    """The parameters, with what they leave to a credential of the configuration."""
    for one in config.credential_list:
        if one.credential_name == params.litellm_credential_name:
            said = {name: str(one.credential_values.get(name) or "") for name in ("api_base", "api_key")}
            return msgspec.structs.replace(
                params,
                api_base=params.api_base or said["api_base"] or None,
                api_key=params.api_key or said["api_key"] or None,
            )
    return params


def _unserved(deployment: Deployment, provider: str) -> str:
    """Why it has no counterpart; empty if it may have one."""
    mode = deployment.model_info.mode
    if provider in providers.COMPLETIONS:
        mode = "completion"
    if mode is not None and mode not in _MODES:
        return _UNSERVED.get(mode, f"Antiphon serves nothing of the mode '{mode}'")
    if provider in providers.OTHERS:
        return f"'{provider}' has an API of its own, and Antiphon asks servers of OpenAI's API alone"
    if provider not in providers.KNOWN:
        whose = (
            f"'{provider}' is no provider that is known here" if provider else "nothing tells its provider"
        )
        return f"{whose}; if it speaks OpenAI's API, write openai/MODEL and its api_base"
    return ""


def _pulled(deployment: Deployment, provider: str, model: str) -> Pulled | Unserved:
    if model.count("/") != 1:
        return Unserved(f"'{provider}' is served inside LiteLLM, or at its own service, and so not at a URL")
    name = model.partition("/")[2].lower()
    command = ["antiphon", "models", "pull", f"hf:{model}", "--name", name]
    alias = deployment.model_name
    return Pulled(shlex.join(command if alias == name else [*command, "--alias", alias]))


def _url(address: str, path: str) -> str:
    address = address.strip().rstrip("/").removesuffix("/chat/completions")
    return address if not address or address.endswith(path) else address + path


def _fits(url: str) -> bool:
    try:
        remote.origin(msgspec.convert(url, Url))
    except (msgspec.ValidationError, ValueError):
        return False
    return True


def _task(deployment: Deployment, model: str) -> Task:
    mode = deployment.model_info.mode
    if mode is None:
        return "speech" if "whisper" in model.lower() or "transcribe" in model.lower() else "chat"
    return _MODES[mode]


def _secret(params: Params, usual: str) -> Secret | None:
    """The key of a deployment. Without one, the variable that LiteLLM takes for its provider."""
    if params.api_key is None:
        return Secret(usual) if usual else None
    if params.api_key.startswith(VARIABLE):
        return Secret(params.api_key.removeprefix(VARIABLE))
    if params.api_key.strip().lower() in _NO_KEYS:
        return None
    return Secret("", hashlib.sha256(params.api_key.encode()).hexdigest())


def _price(deployment: Deployment) -> dict[str, str]:
    """Dollars for 1,000 tokens, or for a second of sound."""
    params, info = deployment.litellm_params, deployment.model_info
    costs: dict[str, tuple[Cost | None, int]] = {
        "input": (_first(params.input_cost_per_token, info.input_cost_per_token), 1000),
        "cached_input": (info.cache_read_input_token_cost, 1000),
        "output": (_first(params.output_cost_per_token, info.output_cost_per_token), 1000),
        "second": (_first(params.input_cost_per_second, info.input_cost_per_second), 1),
    }
    return {name: _dollars(cost, times) for name, (cost, times) in costs.items() if cost is not None}


def _first(*costs: Any) -> Any:
    return next((cost for cost in costs if cost is not None), None)


def _dollars(cost: float, times: int) -> str:
    nano = (Decimal(repr(cost)) * times).quantize(Decimal("1e-9"))
    return f"{nano:f}".rstrip("0").rstrip(".") or "0"


def _remarks(config: Config, position: int, url: str) -> list[str]:
    params = config.model_list[position].litellm_params
    told = []
    if params.rpm or params.tpm:
        told.append("rpm and tpm: set them as rate limits of your projects (docs/billing.md#limits)")
    if unused := config.unused(position):
        told.append(f"not taken over: {', '.join(unused)}")
    if url.count("/") == 2:
        told.append("its URL has no version, such as /v1")
    return told
