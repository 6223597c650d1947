"""A proxy configuration of LiteLLM as values, whose errors name the place, and never a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
import yaml  # type: ignore[import-untyped]
from msgspec import Meta

from antiphon.errors import ConfigurationError

VARIABLE = "os.environ/"
"""What stands before the name of an environment variable whose value is meant."""
_MOST = 1_000_000
"""Characters of a configuration."""
_FIX = "mend it there; the file is one that `litellm --config` takes"
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")

Whole = Annotated[int, Meta(ge=0)]
Cost = Annotated[float, Meta(ge=0)]


class Params(msgspec.Struct, frozen=True, kw_only=True):
    """`litellm_params` of a deployment, as far as they have a meaning here."""

    model: str
    api_base: str | None = None
    base_url: str | None = None
    api_key: str | None = None
    custom_llm_provider: str | None = None
    litellm_credential_name: str | None = None
    max_parallel_requests: Whole | None = None
    rpm: Whole | None = None
    tpm: Whole | None = None
    input_cost_per_token: Cost | None = None
    output_cost_per_token: Cost | None = None
    input_cost_per_second: Cost | None = None


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """`model_info` of a deployment, likewise."""

    mode: str | None = None
    max_input_tokens: Whole | None = None
    max_tokens: Whole | None = None
    input_cost_per_token: Cost | None = None
    output_cost_per_token: Cost | None = None
    cache_read_input_token_cost: Cost | None = None
    input_cost_per_second: Cost | None = None


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of `model_list`: one place where the models of a name are served."""

    model_name: str
    litellm_params: Params
    model_info: Info = Info()


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of `credential_list`: what deployments may refer to by its name."""

    credential_name: str
    credential_values: dict[str, Any] = {}


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """What an alias means, if that is written with more than its name."""

    model: str


class Router(msgspec.Struct, frozen=True, kw_only=True):
    model_group_alias: dict[str, str | Group] | None = None


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The sections; those whose entries are only told of stay as they are."""

    model_list: list[Deployment] = []
    credential_list: list[Credential] = []
    router_settings: Router = Router()
    environment_variables: dict[str, Any] = {}
    raw: dict[str, Any] = {}
    """All that was written."""

    def leftovers(self) -> Iterator[tuple[str, str, Any]]:
        """The entries of all other sections: the section, the entry (empty if it has none), the value."""
        for section, value in self.raw.items():
            if section in ("model_list", "credential_list", "environment_variables"):
                continue
            if section.endswith("_settings") and isinstance(value, dict):
                yield from ((section, name, said) for name, said in value.items() if said is not None)
            else:
                yield section, "", value

    def unused(self, position: int) -> list[str]:
        """The parameters of a deployment that mean nothing here."""
        written = self.raw["model_list"][position]["litellm_params"]
        return sorted(set(written) - set(Params.__struct_fields__))


def config(text: str, name: str) -> Config:
    """The configuration in `text`. Raises `ConfigurationError`, which names `name` and the place in it."""
    if len(text) > _MOST:
        raise ConfigurationError(f"{name} is larger than a configuration can be", fix=_FIX)
    try:
        found = yaml.safe_load(text)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigurationError(f"{name}{where}: {problem.problem}", fix="mend the YAML there") from None
    except (yaml.YAMLError, ValueError) as problem:
        raise ConfigurationError(f"{name} is no YAML: {type(problem).__name__}", fix=_FIX) from None
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise ConfigurationError(f"{name} is no mapping of sections such as model_list", fix=_FIX)
    # A section without anything under it is as good as none.
    written = {key: value for key, value in found.items() if value is not None}
    try:
        return msgspec.convert(written | {"raw": written}, Config, strict=False)
    except msgspec.ValidationError as problem:
        raise ConfigurationError(f"{name}: {_told(problem)}", fix=_FIX) from None


def _told(problem: msgspec.ValidationError) -> str:
    """What is wrong, behind its place."""
    text, _, place = str(problem).partition(" - at `$")
    place = place.rstrip("`").lstrip(".")
    return f"{place}: {text}" if place else text


def variables(text: str, name: str) -> dict[str, str]:
    """What a file of NAME=value lines sets; values may stand in quotes.

    Raises `ConfigurationError`, which names the line and shows nothing of it.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ConfigurationError(f"{name}, line {number} is not NAME=value", fix="mend the line")
        value = match[2]
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        else:
            value = re.split(r"\s#", value, maxsplit=1)[0].rstrip()
        found[match[1]] = value
    return found


def resolved(value: str, environment: Mapping[str, str], place: str) -> str:
    """A value, or that of the environment variable that it names. Raises `ConfigurationError`."""
    if not value.startswith(VARIABLE):
        return value
    variable = value.removeprefix(VARIABLE)
    if variable not in environment:
        raise ConfigurationError(
            f"{place} is to be taken from the environment variable {variable}, which is not set",
            fix="set it, or name the file that sets it with --env-file",
        )
    return environment[variable]
