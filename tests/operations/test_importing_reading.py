"""LiteLLM's configuration as values, and its mistakes in one line that names the place."""

from __future__ import annotations

import pytest

from antiphon.errors import ConfigurationError
from antiphon.operations.importing.reading import Group, config, resolved, variables

WHOLE = """
model_list:
  - model_name: a
    litellm_params: {model: openai/x, rpm: "60", input_cost_per_token: 1e-06, top_k: 1}
    model_info: {mode: chat, max_input_tokens: 1000}
router_settings:
  model_group_alias: {b: a, c: {model: a, hidden: true}}
  num_retries: 2
litellm_settings:
general_settings: {master_key: sk-1, database_url: null}
include: [other.yaml]
"""


def test_what_has_a_meaning_is_read() -> None:
    found = config(WHOLE, "config.yaml")
    [one] = found.model_list
    assert (one.model_name, one.litellm_params.rpm, one.litellm_params.input_cost_per_token) == (
        "a",
        60,
        1e-6,
    )
    assert one.model_info.max_input_tokens == 1000
    assert found.router_settings.model_group_alias == {"b": "a", "c": Group(model="a")}
    assert found.unused(0) == ["top_k"]


def test_what_has_none_is_told_of() -> None:
    assert list(config(WHOLE, "config.yaml").leftovers()) == [
        ("router_settings", "model_group_alias", {"b": "a", "c": {"model": "a", "hidden": True}}),
        ("router_settings", "num_retries", 2),
        ("general_settings", "master_key", "sk-1"),
        ("include", "", ["other.yaml"]),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "c.yaml, line 1, column 5"),
        ("model_list:\n  - a: 1\n   b: 2", "c.yaml, line 3, column 4"),
        ("- 1", "c.yaml is no mapping"),
        ("", "c.yaml is no mapping"),
        ("1: 2", "c.yaml is no mapping"),
        ("a: \x00", "c.yaml is no YAML"),
        ("a: !!python/object/apply:os.system [ls]", "c.yaml, line 1, column 4"),
        ("model_list: {}", "model_list: Expected `array`"),
        ("model_list: [1]", "model_list[0]: Expected `object`"),
        ("model_list: [{model_name: a}]", "model_list[0]: Object missing required field `litellm_params`"),
        ("model_list: [{model_name: a, litellm_params: {}}]", "model_list[0].litellm_params: Object missing"),
        (
            "model_list: [{model_name: a, litellm_params: {model: b, rpm: many}}]",
            "model_list[0].litellm_params.rpm: Expected `int",
        ),
        ("router_settings: {model_group_alias: {a: 1}}", "router_settings.model_group_alias[...]"),
        (f"a: {'b' * 1_000_000}", "c.yaml is larger"),
    ],
)
def test_mistakes_are_named_by_their_place(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        config(text, "c.yaml")
    assert told in raised.value.message and "\n" not in raised.value.message


def test_variables_of_a_file() -> None:
    text = "# keys\n\nA=1\nexport B = 'two words'\nC=\"x#y\"\nD=x # a remark\nE=\nF=a=b\n"
    assert variables(text, ".env") == {
        "A": "1", "B": "two words", "C": "x#y", "D": "x", "E": "", "F": "a=b",
    }  # fmt: skip


def test_a_line_that_sets_nothing_is_named_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match=r"\.env, line 2 is not NAME=value") as raised:
        variables("A=1\nsk-secret\n", ".env")
    assert "sk-secret" not in str(raised.value) + raised.value.fix


def test_values_are_taken_from_the_environment() -> None:
    assert resolved("http://a", {}, "here") == "http://a"
    assert resolved("os.environ/A", {"A": "http://b"}, "here") == "http://b"
    with pytest.raises(
        ConfigurationError, match="here is to be taken from the environment variable A, which"
    ):
        resolved("os.environ/A", {"B": "x"}, "here")
