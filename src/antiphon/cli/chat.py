"""`antiphon chat`: talk to a running server, line by line or once."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon.cli.options import BaseUrl, Key, required_key, server_address
from antiphon.cli.output import CommandFailed, ExitCode, plain, report

if TYPE_CHECKING:
    from antiphon.cli.client import Client

PROMPT_CHARACTERS = 4_000_000
HELP = "/reset forgets the conversation, /exit or Ctrl-D leaves, Ctrl-C stops an answer."


def chat(
    prompt: Annotated[
        str | None,
        typer.Argument(
            metavar="PROMPT", help="Ask this once; without it, a conversation, or what a pipe brings."
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="An alias or a snapshot.")] = "gpt-3.5-turbo",
    system: Annotated[str | None, typer.Option(help="A system message to begin with.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0.0, max=2.0, help="0 is greedy.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer, in tokens.")] = None,
    base_url: BaseUrl = None,
    key: Key = None,
) -> None:
    """Chat with a running server; answers are printed as they come."""
    # Imported here, since the HTTP library would slow down every other command.
    from antiphon.cli.client import Client

    wanted = {"model": model, "temperature": temperature, "max_tokens": max_tokens}
    options = {name: value for name, value in wanted.items() if value is not None}
    conversation = Conversation(Client(server_address(base_url), required_key(key)), options, system)
    if prompt is not None:
        conversation.ask(prompt)
    elif sys.stdin.isatty():
        converse(conversation, _reader())
    else:
        conversation.ask(_piped())


class Conversation:
    """The messages so far, and how the next answer is asked for."""

    def __init__(self, client: Client, options: dict[str, Any], system: str | None) -> None:
        """`options` are the fields of the request beside its messages."""
        self._client = client
        self._options = options
        self._system = [{"role": "system", "content": system}] if system else []
        self.messages = list(self._system)

    def reset(self) -> None:
        """Forget everything but the system message."""
        self.messages = list(self._system)

    def ask(self, text: str) -> None:
        """Print the answer as it comes, and remember it.

        Raises `CommandFailed`, after which the question is forgotten, and `KeyboardInterrupt`, after which
        what was said so far stays.
        """
        messages = [*self.messages, {"role": "user", "content": text}]
        pieces: list[str] = []
        try:
            asyncio.run(self._stream(messages, pieces))
            self._remember(messages, pieces)
        except KeyboardInterrupt:
            self._remember(messages, pieces)
            raise
        finally:
            if pieces:
                typer.echo()

    def _remember(self, messages: list[dict[str, str]], pieces: list[str]) -> None:
        if pieces:
            self.messages = [*messages, {"role": "assistant", "content": "".join(pieces)}]

    async def _stream(self, messages: list[dict[str, str]], pieces: list[str]) -> None:
        show = plain if sys.stdout.isatty() else str
        async with aclosing(self._client.chat({**self._options, "messages": messages})) as answer:
            async for piece in answer:
                pieces.append(piece)
                typer.echo(show(piece), nl=False)


def converse(conversation: Conversation, read: Callable[[str], str]) -> None:
    """Ask and answer until the person leaves. `read` gives a line, `EOFError` at the end."""
    typer.echo(HELP, err=True)
    while True:
        try:
            text = read("> ").strip()
        except EOFError:
            typer.echo(err=True)
            return
        match text:
            case "":
                continue
            case "/exit":
                return
            case "/reset":
                conversation.reset()
            case "/help":
                typer.echo(HELP, err=True)
            case _:
                _turn(conversation, text)


def _turn(conversation: Conversation, text: str) -> None:
    try:
        conversation.ask(text)
    except CommandFailed as problem:
        report(problem)
    except KeyboardInterrupt:
        typer.echo("(stopped)", err=True)


def _reader() -> Callable[[str], str]:
    with suppress(ImportError):  # not on every platform; it adds editing and history to `input`
        importlib.import_module("readline")
    return input


def _piped() -> str:
    text = sys.stdin.read(PROMPT_CHARACTERS + 1)
    if not text.strip():
        raise CommandFailed("nothing was asked", fix="give a PROMPT", exit_code=ExitCode.USAGE)
    if len(text) > PROMPT_CHARACTERS:
        raise CommandFailed(f"the prompt is longer than {PROMPT_CHARACTERS} characters")
    return text
