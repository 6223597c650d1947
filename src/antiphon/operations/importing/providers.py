"""What LiteLLM calls a provider: where it speaks OpenAI's API, or why it cannot be asked from here."""

from __future__ import annotations

import msgspec


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A server of OpenAI's API: where it is if nothing is said, what its address ends in, and its key."""

    url: str = ""
    """Empty for one that everybody runs at an address of their own."""
    path: str = ""
    """What OpenAI's API is under, where the address is written without it."""
    variable: str = ""
    """The environment variable with its key, if none is said."""


SPEAK: dict[str, Provider] = {
    "openai": Provider(url="https://api.openai.com/v1", variable="OPENAI_API_KEY"),
    "custom_openai": Provider(),
    "openai_like": Provider(),
    "hosted_vllm": Provider(),
    "litellm_proxy": Provider(),
    "llamafile": Provider(url="http://127.0.0.1:8080/v1"),
    "lm_studio": Provider(url="http://127.0.0.1:1234/v1"),
    "xinference": Provider(url="http://127.0.0.1:9997/v1"),
    "docker_model_runner": Provider(),
    "ollama": Provider(url="http://127.0.0.1:11434", path="/v1"),
    "ollama_chat": Provider(url="http://127.0.0.1:11434", path="/v1"),
    "cerebras": Provider(url="https://api.cerebras.ai/v1", variable="CEREBRAS_API_KEY"),
    "deepinfra": Provider(url="https://api.deepinfra.com/v1/openai", variable="DEEPINFRA_API_KEY"),
    "deepseek": Provider(url="https://api.deepseek.com/v1", variable="DEEPSEEK_API_KEY"),
    "fireworks_ai": Provider(url="https://api.fireworks.ai/inference/v1", variable="FIREWORKS_API_KEY"),
    "groq": Provider(url="https://api.groq.com/openai/v1", variable="GROQ_API_KEY"),
    "mistral": Provider(url="https://api.mistral.ai/v1", variable="MISTRAL_API_KEY"),
    "nvidia_nim": Provider(url="https://integrate.api.nvidia.com/v1", variable="NVIDIA_NIM_API_KEY"),
    "openrouter": Provider(url="https://openrouter.ai/api/v1", variable="OPENROUTER_API_KEY"),
    "perplexity": Provider(url="https://api.perplexity.ai", variable="PERPLEXITYAI_API_KEY"),
    "sambanova": Provider(url="https://api.sambanova.ai/v1", variable="SAMBANOVA_API_KEY"),
    "together_ai": Provider(url="https://api.together.xyz/v1", variable="TOGETHERAI_API_KEY"),
    "xai": Provider(url="https://api.x.ai/v1", variable="XAI_API_KEY"),
}
HERE = frozenset({"vllm", "huggingface", "petals", "oobabooga"})
"""Providers whose models are repositories of the hub as a rule, which may be served here."""
COMPLETIONS = frozenset({"text-completion-openai", "text-completion-codestral"})
OTHERS = frozenset(
    {
        *("ai21", "aiml", "anthropic", "azure", "azure_ai", "azure_text", "bedrock", "bedrock_converse"),
        *("bytez", "clarifai", "cloudflare", "codestral", "cohere", "cohere_chat", "custom", "databricks"),
        *("deepgram", "elevenlabs", "gemini", "gigachat", "github", "github_copilot", "infinity", "jina_ai"),
        *("maritalk", "nlp_cloud", "oci", "palm", "predibase", "replicate", "sagemaker", "sagemaker_chat"),
        *("snowflake", "topaz", "triton", "vertex_ai", "vertex_ai_beta", "voyage", "watsonx"),
    }
)
"""Those with an API of their own, which Antiphon does not speak."""
KNOWN = {*SPEAK, *HERE, *COMPLETIONS, *OTHERS}
_BARE = {"gpt-": "openai", "chatgpt-": "openai", "o1": "openai", "o3": "openai", "o4": "openai"}
_BARE |= {"whisper-": "openai", "text-embedding-": "openai", "claude-": "anthropic", "gemini-": "gemini"}


def split(model: str, said: str | None, *, elsewhere: bool) -> tuple[str, str]:
    """The provider and the model's name there; no provider where nobody can tell.

    `said` is the provider if it is not written before the name. `elsewhere` tells whether the deployment
    has an address: then a name of none of the known providers is asked for by OpenAI's API.
    """
    first, slash, rest = model.partition("/")
    if said:
        return said, rest if slash and first == said else model
    if slash and first in KNOWN:
        return first, rest
    for beginning, provider in _BARE.items():
        if model.startswith(beginning):
            return provider, model
    return ("openai" if elsewhere else ""), model
