"""A grammar that holds from some word on, as xgrammar reads it: OpenVINO GenAI and vLLM do by it."""

from __future__ import annotations

from antiphon.errors import InvalidRequest

_AFTER = "after_trigger"
"""A rule of ours: with a letter that names of the gateway's rules never have."""


def after(trigger: str, grammar: str) -> str:
    """The grammar behind any text that lacks its trigger.

    Raises `InvalidRequest`, naming `grammar`, if it does not begin with its trigger.
    """
    quoted = trigger.replace("\\", "\\\\").replace('"', '\\"')
    beginning = f'root ::= "{quoted}'
    if not grammar.startswith(beginning):
        raise InvalidRequest("A lazy grammar begins with its trigger.", param="grammar")
    return (
        f'root ::= TagDispatch(("{quoted}", {_AFTER}), loop_after_dispatch=false)\n'
        f'{_AFTER} ::= "{grammar.removeprefix(beginning)}'
    )
