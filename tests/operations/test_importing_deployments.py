"""What an entry of LiteLLM's `model_list` is here."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from antiphon.errors import ConfigurationError
from antiphon.operations.importing.deployments import Pulled, Secret, Served, Unserved, read
from antiphon.operations.importing.reading import config

HERE = "http://10.0.0.5:8000/v1"


def deployment(
    info: dict[str, Any] | None = None, name: str = "a", **params: Any
) -> Served | Pulled | Unserved:
    entry = {"model_name": name, "litellm_params": params, "model_info": info or {}}
    credential = {
        "credential_name": "ours",
        "credential_values": {"api_base": HERE, "api_key": "os.environ/OURS"},
    }
    text = yaml.safe_dump({"model_list": [entry], "credential_list": [credential]})
    return read(config(text, "c.yaml"), 0, {"BASE": HERE, "NAME": "openai/x"}, "c.yaml")


def served(**params: Any) -> Served:
    found = deployment(**params)
    assert isinstance(found, Served), found
    return found


@pytest.mark.parametrize(
    ("params", "url", "model"),
    [
        ({"model": "hosted_vllm/org/m", "api_base": HERE}, HERE, "org/m"),
        ({"model": "openai/m", "base_url": f"{HERE}/"}, HERE, "m"),
        ({"model": "openai/m", "api_base": f"{HERE}/chat/completions"}, HERE, "m"),
        ({"model": "openai/m", "api_base": "os.environ/BASE"}, HERE, "m"),
        ({"model": "os.environ/NAME"}, "https://api.openai.com/v1", "x"),
        ({"model": "gpt-4o"}, "https://api.openai.com/v1", "gpt-4o"),
        ({"model": "org/m", "api_base": HERE}, HERE, "org/m"),
        ({"model": "m", "custom_llm_provider": "openai", "api_base": HERE}, HERE, "m"),
        ({"model": "groq/llama-3.3-70b"}, "https://api.groq.com/openai/v1", "llama-3.3-70b"),
        ({"model": "openrouter/meta/llama"}, "https://openrouter.ai/api/v1", "meta/llama"),
        ({"model": "ollama/llama3"}, "http://127.0.0.1:11434/v1", "llama3"),
        ({"model": "ollama_chat/l", "api_base": "http://h:11434"}, "http://h:11434/v1", "l"),
        ({"model": "ollama/l", "api_base": "http://h:11434/v1"}, "http://h:11434/v1", "l"),
        ({"model": "openai/m", "litellm_credential_name": "ours"}, HERE, "m"),
    ],
)
def test_servers_of_the_api(params: dict[str, Any], url: str, model: str) -> None:
    found = served(**params)
    assert (found.task, found.url, found.model) == ("chat", url, model)


@pytest.mark.parametrize(
    ("params", "secret"),
    [
        ({"model": "openai/m"}, Secret("OPENAI_API_KEY")),
        ({"model": "groq/m"}, Secret("GROQ_API_KEY")),
        ({"model": "openai/m", "api_key": "os.environ/MINE"}, Secret("MINE")),
        ({"model": "openai/m", "api_base": HERE, "api_key": "none"}, None),
        ({"model": "hosted_vllm/m", "api_base": HERE}, None),
        ({"model": "openai/m", "litellm_credential_name": "ours"}, Secret("OURS")),
    ],
)
def test_where_its_key_comes_from(params: dict[str, Any], secret: Secret | None) -> None:
    assert served(**params).secret == secret


def test_a_key_that_is_written_is_told_from_others_and_not_kept() -> None:
    one, same, other = (
        served(model="openai/m", api_key=key) for key in ("sk-hidden1", "sk-hidden1", "sk-hidden2")
    )
    assert one == same != other and "hidden" not in repr(one)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"model": "anthropic/claude"}, "'anthropic' has an API of its own"),
        ({"model": "azure/x", "api_base": "https://a.openai.azure.com"}, "'azure' has an API of its own"),
        ({"model": "claude-3-5-sonnet"}, "'anthropic' has"),
        ({"model": "strange-model"}, "nothing tells its provider"),
        ({"model": "m", "custom_llm_provider": "new"}, "'new' is no provider that is known"),
        ({"model": "hosted_vllm/m"}, "needs its api_base"),
        ({"model": "openai/m", "api_base": "10.0.0.5:8000"}, "no URL of a server"),
        ({"model": "openai/m", "api_base": "http://me:pw@h/v1"}, "no URL of a server"),
        ({"model": "openai/*"}, "every name is written for itself"),
        ({"model": "openai/m", "name": "*"}, "every name is written for itself"),
        ({"model": "openai/m", "info": {"mode": "embedding"}}, "embeddings are not asked of upstreams"),
        (
            {"model": "openai/m", "info": {"mode": "image_generation"}},
            "nothing of the mode 'image_generation'",
        ),
        ({"model": "text-completion-openai/m"}, "completions of the old kind"),
        ({"model": "petals/m"}, "served inside LiteLLM"),
    ],
)
def test_what_has_no_counterpart_says_why(params: dict[str, Any], told: str) -> None:
    found = deployment(**params)
    assert isinstance(found, Unserved) and told in found.reason


def test_models_of_the_hub_may_be_pulled() -> None:
    found = deployment(model="vllm/Qwen/Qwen2.5-0.5B", name="my model")
    assert found == Pulled("antiphon models pull hf:Qwen/Qwen2.5-0.5B --name qwen2.5-0.5b --alias 'my model'")
    same = deployment(model="huggingface/Qwen/Qwen2.5-0.5B", name="qwen2.5-0.5b")
    assert same == Pulled("antiphon models pull hf:Qwen/Qwen2.5-0.5B --name qwen2.5-0.5b")


@pytest.mark.parametrize(
    ("params", "task"),
    [
        ({"model": "openai/whisper-1"}, "speech"),
        ({"model": "openai/m", "info": {"mode": "audio_transcription"}}, "speech"),
        ({"model": "openai/whisperer", "info": {"mode": "chat"}}, "chat"),
    ],
)
def test_recordings_go_to_speech_models(params: dict[str, Any], task: str) -> None:
    assert served(**params).task == task


def test_size_load_and_price() -> None:
    info = {
        "max_input_tokens": 1000, "max_tokens": 5, "output_cost_per_token": 1.5e-6,
        "cache_read_input_token_cost": 2.5e-7,
    }  # fmt: skip
    found = served(
        model="openai/m", max_parallel_requests=1000, input_cost_per_token=5e-7, rpm=5, top_k=1, info=info
    )
    assert (found.context, found.slots, found.owned_by) == (1000, 256, "openai")
    assert found.price == {"input": "0.0005", "cached_input": "0.00025", "output": "0.0015"}
    limits, unused = found.remarks
    assert "rate limits of your projects" in limits and unused == "not taken over: top_k"
    free = served(model="openai/m", input_cost_per_second=0, api_base="http://h:1")
    assert free.price == {"second": "0"} and "no version" in free.remarks[0]
    assert (free.slots, free.context) == (64, None)


def test_a_variable_that_is_needed_and_missing_is_named() -> None:
    with pytest.raises(
        ConfigurationError, match=r"c\.yaml: model_list\[0\]\.litellm_params\.api_base is to be"
    ):
        deployment(model="openai/m", api_base="os.environ/MISSING")
