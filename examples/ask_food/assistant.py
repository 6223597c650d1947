"""The model calls a tool for a request, and tells what came of it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import AsyncIterator, Collection
from functools import partial
from typing import Any

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from openai.types.chat.chat_completion_message_function_tool_call_param import Function

from examples.kit.chat import held
from examples.kit.serve import Event

from .catalogue import HERE, named, nameless, stems
from .tools import TOOLS, Result, State, offered

Messages = list[ChatCompletionMessageParam]
SYSTEM = "You serve customers of a food shop. Call the tool that does what they ask for, and tell the result."
_examples = tomllib.loads((HERE / "examples.toml").read_text("utf-8"))
EXAMPLES: list[list[Any]] = [[tool, *one] for tool, several in _examples.items() for one in several]
"""Of each the tool, the request, the arguments of the call, its result, and the answer."""
TEMPERATURES = (0.0, 0.4, 0.6, 0.8)
"""Of the attempts at one answer: each is freer than the one before."""
_FIGURE = re.compile(r"\d+(?:\.\d+)?")
_QUESTION = re.compile(r"\W*(?:and )?(?:what|which|where|who|how|is|are|do|does|any)\b", re.IGNORECASE)
_DENIAL = re.compile(r"\b(?:no|not|none|nothing|nobody|\w+n['’]t)\b", re.IGNORECASE)


def exchange(request: str, tool: str, arguments: str, result: str) -> Messages:
    """A request, the call of a tool, and what came of it."""
    function: Function = {"name": tool, "arguments": arguments}
    return [
        {"role": "user", "content": request},
        {"role": "assistant", "tool_calls": [{"id": "call_0", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "call_0", "content": result},
    ]


def closest(request: str, basket: Collection[str]) -> tuple[list[str], Messages]:
    """The tools of up to four examples most like a request in their words, and these as a conversation.

    A question never changes the basket, and nothing is taken out of an empty one.
    """
    asked = nameless(request)

    def likeness(example: list[Any]) -> float:
        words = nameless(example[1])
        return len(asked & words) / len(asked | words)

    never = {"add_to_basket", "remove_from_basket"} if _QUESTION.match(request) else set[str]()
    never |= set() if basket else {"remove_from_basket"}
    fitting = [one for one in EXAMPLES if one[0] not in never]
    best = sorted(fitting, key=likeness)[-4:]
    best = [example for example in best if likeness(example) >= 0.75 * likeness(best[-1])]
    messages: Messages = [{"role": "system", "content": SYSTEM}]
    for tool, said, arguments, result, answer in best:
        messages += exchange(said, tool, json.dumps(arguments), result)
        messages.append({"role": "assistant", "content": answer})
    return list(dict.fromkeys(tool for tool, *_ in reversed(best))), messages


def holds(request: str, result: str, answer: str) -> bool:
    """Whether an answer has the amounts of the result and a name of it, no others, and denies as it does."""
    known, figures, names = f"{request} {result}", set(_FIGURE.findall(answer)), named(answer)
    amounts = {figure for figure in _FIGURE.findall(result) if "." in figure}
    return (
        answer.rstrip().endswith((".", "!", "?"))
        and len(answer) < 2 * len(result) + 40
        and amounts <= figures <= set(_FIGURE.findall(known))
        and set(stems(" ".join(names))) <= set(stems(known))
        and (bool(names) or not named(result))
        and bool(_DENIAL.search(answer)) is bool(_DENIAL.search(result))
    )


class Assistant:
    """Serves one customer."""

    def __init__(self, client: AsyncOpenAI, model: str) -> None:
        self.state = State()
        self._completions = client.chat.completions
        self._model = model

    async def answer(self, request: str) -> AsyncIterator[Event]:
        """What happens: a call and what came of it, the text that tells it, and whether that is `kept`."""
        tools, messages = closest(request, self.state.basket)
        tool, arguments = await self._call(request, tools, messages)
        try:
            result = TOOLS[tool](self.state, **json.loads(arguments))
        except LookupError as unknown:
            result = Result(str(unknown))
        yield {"call": f"{tool} {arguments}", "card": result._asdict(), "basket": self.state.view()}
        begin = partial(
            self._completions.create,
            model=self._model,
            messages=[*messages, *exchange(request, tool, arguments, str(result))],
            max_tokens=120,
            stop=["\n"],
            stream=True,
        )
        async for text, kept in held(begin, TEMPERATURES, partial(holds, request, str(result))):
            yield {"text": text, "kept": kept}

    async def _call(self, request: str, tools: list[str], messages: Messages) -> tuple[str, str]:
        """Which of some tools the model calls, and its arguments as JSON."""
        answer = await self._completions.create(
            model=self._model,
            messages=[*messages, {"role": "user", "content": request}],
            tools=offered(tools, request),
            tool_choice="required",
            parallel_tool_calls=False,
            temperature=0,
            max_tokens=200,
        )
        call = (answer.choices[0].message.tool_calls or [])[0]
        assert call.type == "function"
        return call.function.name, call.function.arguments
