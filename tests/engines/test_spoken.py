"""Functions, calls and results in plain messages."""

from __future__ import annotations

from antiphon.engines.spoken import described, spoken
from antiphon.grammar.calls import BEGIN, END
from antiphon.inference.calls import Calls
from antiphon.values import Call, CallDelta, Function, Message

WEATHER = Function(name="weather", description="Tells the weather.", parameters={"type": "object"})
NOW = Function(name="now")


def user(text: str) -> Message:
    return Message(role="user", content=text)


def test_without_functions_nothing_changes() -> None:
    conversation = [
        Message(role="system", content="s"),
        user("u"),
        Message(role="assistant", content="a", name="n"),
    ]
    assert spoken(conversation, []) == conversation


def test_the_system_message_tells_of_the_functions() -> None:
    [system, asked] = spoken([user("Hi")], [WEATHER, NOW])
    assert (system.role, asked) == ("system", user("Hi"))
    assert (
        '{"name": "weather", "description": "Tells the weather.", "parameters": {"type": "object"}}\n'
        in system.content
    )
    assert '{"name": "now"}\n' in system.content
    assert "{{" not in system.content and f"{BEGIN}\n" in system.content
    [both] = spoken([Message(role="system", content="Be brief.")], [NOW])
    assert both.content.startswith("Be brief.\n\n") and both.content.endswith(system.content[-80:])


def test_what_it_shows_is_how_calls_are_read() -> None:
    [system] = spoken([], [NOW])
    parts = Calls().feed(system.content)
    assert any(isinstance(part, CallDelta) and part.name == "the function's name" for part in parts)


def test_calls_and_results_are_told_as_they_were_written() -> None:
    calls = (
        Call(id="1", name="weather", arguments='{"city": "Paris"}'),
        Call(id="2", name="now", arguments=""),
    )
    conversation = [
        user("Hi"),
        Message(role="assistant", content="Let me see.", calls=calls),
        Message(role="tool", content="Rain"),
        Message(role="tool", content="Noon"),
        user("Thanks"),
    ]
    told = spoken(conversation, [])
    assert [message.role for message in told] == ["user", "assistant", "user", "user"]
    assert told[1].content == (
        f'Let me see.\n{BEGIN}\n{{"name": "weather", "arguments": {{"city": "Paris"}}}}\n{END}'
        f'\n{BEGIN}\n{{"name": "now", "arguments": {{}}}}\n{END}'
    )
    assert told[1].calls == ()
    assert told[2].content == (
        "<tool_response>\nRain\n</tool_response>\n<tool_response>\nNoon\n</tool_response>"
    )


def test_a_function_is_described_by_what_is_known_of_it() -> None:
    assert described(NOW) == {"name": "now"}
    assert list(described(WEATHER)) == ["name", "description", "parameters"]
