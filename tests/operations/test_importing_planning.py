"""From a configuration of LiteLLM to a plan, beside what models.toml says already."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from antiphon.catalogue.additions import tables
from antiphon.catalogue.document import Document, document
from antiphon.operations.importing.plan import Plan
from antiphon.operations.importing.planning import Place, plan
from antiphon.operations.importing.reading import config

HOME = Path("/srv/antiphon")
ONE, OTHER = "http://10.0.0.5:8000/v1", "http://10.0.0.6:8000/v1"


def entry(name: str, model: str, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model} | params}


def planned(*models: dict[str, Any], written: str = "", upstreams: str = "", **sections: Any) -> Plan:
    place = Place(
        home=HOME,
        written=tomllib.loads(written),
        shipped_names={"gpt-3.5-turbo"},
        snapshots=document(HOME, written).snapshots.keys(),
        upstreams=upstreams,
        today=date(2026, 11, 28),
        context=8192,
    )
    text = yaml.safe_dump({"model_list": list(models)} | sections)
    return plan(config(text, "c.yaml"), "c.yaml", {"SET": "sk-secret"}, place)


def lines(found: Plan) -> dict[str, tuple[str, str]]:
    return {f"{line.place} {line.name}".strip(): (line.fate, line.text) for line in found.lines}


def made(found: Plan, written: str = "") -> Document:
    """The catalogue with what the plan adds."""
    return document(HOME, f"{written}\n{tables(found.tables())}")


def test_a_model_at_a_url_becomes_a_snapshot_and_its_name_an_alias() -> None:
    found = planned(
        entry("house", "hosted_vllm/org/m", api_base=ONE, api_key="os.environ/SET", input_cost_per_token=1e-6)
    )
    [one] = found.snapshots
    assert one.id == "m-at-10.0.0.5-8000" and found.aliases == {"house": one.id}
    catalogue = made(found)
    assert catalogue.aliases["house"].snapshot == one.id
    snapshot = catalogue.snapshots[one.id]
    assert (snapshot.task, snapshot.context, snapshot.slots, snapshot.serve) == ("chat", 8192, 64, True)
    assert snapshot.site is not None and snapshot.site.urls == (ONE,) and snapshot.site.model == "org/m"
    assert snapshot.site.key_file == "/srv/antiphon/upstream-keys/SET"
    assert snapshot.prices[0].input == 1_000_000
    assert found.origins == ("http://10.0.0.5:8000",)
    assert found.guesses == (f"{one.id}: its context is taken to be 8,192 tokens",)
    assert (
        planned(entry("house", "hosted_vllm/m", api_base=ONE), upstreams="http://10.0.0.5:8000").origins == ()
    )


def test_a_second_time_changes_nothing() -> None:
    models = [
        entry("house", "hosted_vllm/m", api_base=ONE, api_key="sk-literal"),
        entry("house", "hosted_vllm/m", api_base=OTHER, api_key="sk-literal"),
        entry("gpt-4o", "openai/gpt-4o"),
        entry("qwen", "vllm/Qwen/Qwen2.5"),
    ]
    router = {"model_group_alias": {"gpt-4": "house"}}
    first = planned(*models, router_settings=router)
    text = tables(first.tables())
    again = planned(*models, router_settings=router, written=text)
    assert not first.empty and again.empty and again.tables() == []
    assert {fate for fate, _ in lines(again).values()} == {"there already", "to pull"}
    assert again.keys == first.keys, "which may still have to be put there"
    moved = text.replace("/srv/antiphon/upstream-keys/OPENAI_API_KEY", "/run/secrets/openai")
    assert planned(*models, router_settings=router, written=moved).empty


def test_servers_of_the_same_model_are_one_snapshot_and_others_are_their_own() -> None:
    found = planned(
        entry("house", "hosted_vllm/m", api_base=ONE),
        entry("house", "hosted_vllm/m", api_base=OTHER),
        entry("house", "hosted_vllm/n", api_base=ONE),
        entry("other", "hosted_vllm/n", api_base=ONE),
        entry("ears", "hosted_vllm/whisper", api_base=ONE),
        entry("ears", "hosted_vllm/whisper", api_base=OTHER),
    )
    places = {one.id: one.urls for one in found.snapshots}
    assert places == {
        "m-at-10.0.0.5-8000": (ONE, OTHER),
        "n-at-10.0.0.5-8000": (ONE,),
        "whisper-at-10.0.0.5-8000": (ONE,),
        "whisper-at-10.0.0.6-8000": (OTHER,),
    }
    assert found.aliases == {
        "house": "m-at-10.0.0.5-8000",
        "other": "n-at-10.0.0.5-8000",
        "ears": "whisper-at-10.0.0.5-8000",
    }
    said = lines(found)["model_list[2] house"][1]
    assert said.startswith("served as n-at-10.0.0.5-8000; the name means m-at-10.0.0.5-8000 alone")
    assert made(found).snapshots.keys() > places.keys()


def test_what_one_server_of_a_model_tells_counts_for_all() -> None:
    other = entry("house", "hosted_vllm/m", api_base=OTHER, input_cost_per_token=1e-6)
    found = planned(
        entry("house", "hosted_vllm/m", api_base=ONE), other | {"model_info": {"max_input_tokens": 4096}}
    )
    assert [(one.context, one.price) for one in found.snapshots] == [(4096, {"input": "0.001"})]


def test_the_same_model_with_two_keys_is_two_snapshots() -> None:
    models = [
        entry("a", "openai/gpt-4o", api_key="sk-first"),
        entry("b", "openai/gpt-4o", api_key="sk-second"),
        entry("c", "openai/gpt-4o", api_key="sk-first"),
    ]
    found = planned(*models)
    assert [(one.id, Path(one.key_file).name) for one in found.snapshots] == [
        ("gpt-4o-at-api.openai.com", "api.openai.com"),
        ("gpt-4o-at-api.openai.com-2", "api.openai.com-2"),
    ]
    assert found.aliases["a"] == found.aliases["c"] != found.aliases["b"]
    assert planned(*models, written=tables(found.tables())).empty


def test_what_stands_in_models_toml_stays() -> None:
    written = """
[aliases]
house = { snapshot = "smollm2-135m-instruct-2024-11-01" }
gone = false

[snapshots."m-at-10.0.0.5-8000"]
task = "chat"
engine = "openai"
owned_by = "o"
licence = "l"
released = 2026-01-01
context = 10
source = { kind = "upstream", url = "http://elsewhere/v1" }
"""
    found = planned(
        entry("house", "hosted_vllm/m", api_base=ONE),
        entry("gone", "hosted_vllm/m", api_base=ONE),
        entry("m-at-10.0.0.5-8000", "hosted_vllm/m", api_base=ONE),
        entry("gpt-3.5-turbo", "hosted_vllm/m", api_base=ONE),
        written=written,
    )
    assert [one.id for one in found.snapshots] == ["m-at-10.0.0.5-8000-2"]
    assert found.aliases == {"gpt-3.5-turbo": "m-at-10.0.0.5-8000-2"}
    told = lines(found)
    fate, text = told["model_list[0] house"]
    assert (
        fate == "conflict" and "means smollm2-135m-instruct-2024-11-01 in models.toml, and stays so" in text
    )
    assert "antiphon models switch house m-at-10.0.0.5-8000-2" in text
    assert told["model_list[1] gone"][0] == told["model_list[2] m-at-10.0.0.5-8000"][0] == "conflict"
    assert "in place of the bundled model" in told["model_list[3] gpt-3.5-turbo"][1]
    assert made(found, written).aliases["house"].snapshot == "smollm2-135m-instruct-2024-11-01"


def test_groups_get_their_further_names() -> None:
    found = planned(
        entry("house", "hosted_vllm/m", api_base=ONE),
        entry("claude", "anthropic/claude"),
        router_settings={
            "model_group_alias": {
                "a": "house", "b": {"model": "house", "hidden": True}, "c": "claude", "d e": "house",
            },
            "num_retries": 3,
        },
        litellm_settings={"drop_params": True, "fallbacks": [], "something_new": 1},
        general_settings={"master_key": "sk-secret-master"},
    )  # fmt: skip
    assert found.aliases == dict.fromkeys(["house", "a", "b"], "m-at-10.0.0.5-8000")
    told = lines(found)
    assert told["router_settings.model_group_alias c"] == (
        "none", "'claude' is not taken over, and so its alias is not",
    )  # fmt: skip
    assert told["router_settings.model_group_alias d e"][0] == "none"
    assert "several URLs of one model" in told["router_settings num_retries"][1]
    assert "no model answers in another's name" in told["litellm_settings fallbacks"][1]
    assert "docs/settings.md" in told["litellm_settings something_new"][1]
    assert "no master key" in told["general_settings master_key"][1]
    assert "sk-secret-master" not in repr(found)


def test_keys_are_named_by_their_place_and_never_told() -> None:
    found = planned(
        entry("a", "openai/m", api_key="os.environ/SET"),
        entry("b", "openai/n", api_key="os.environ/MISSING"),
        entry("c", "openai/o", api_key="sk-secret-literal"),
        entry("d", "openai/p", api_key="os.environ/WRITTEN"),
        environment_variables={"WRITTEN": "sk-secret-variable"},
    )
    assert [(key.variable, key.known, key.places[0], Path(key.file).name) for key in found.keys] == [
        ("SET", True, "model_list[0].litellm_params.api_key", "SET"),
        ("MISSING", False, "model_list[1].litellm_params.api_key", "MISSING"),
        ("", True, "model_list[2].litellm_params.api_key", "api.openai.com"),
        ("", True, "environment_variables.WRITTEN", "WRITTEN"),
    ]
    assert "sk-secret" not in repr(found)


def test_models_to_pull_are_commands() -> None:
    found = planned(entry("qwen", "vllm/Qwen/Qwen2.5-0.5B"), entry("gpt-3.5-turbo", "huggingface/a/b"))
    assert found.pulls == (
        "antiphon models pull hf:Qwen/Qwen2.5-0.5B --name qwen2.5-0.5b --alias qwen",
        "antiphon models pull hf:a/b --name b --alias gpt-3.5-turbo",
    )
    assert found.empty and lines(found)["model_list[0] qwen"][0] == "to pull"
    own = '[aliases]\nqwen = { snapshot = "smollm2-135m-instruct-2024-11-01" }\n'
    assert planned(entry("qwen", "vllm/Qwen/Qwen2.5-0.5B"), written=own).pulls == ()
