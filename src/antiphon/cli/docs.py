"""`antiphon docs`: the pages of the documentation that are made from the code, so that none can be stale."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from antiphon import errors, settings
from antiphon.cli.options import shown_default
from antiphon.cli.output import CommandFailed, ExitCode
from antiphon.errors import AntiphonError

MADE = "<!-- Made by `make docs` from the code: edit that. -->\n\n"


def docs(
    context: typer.Context,
    write: Annotated[Path | None, typer.Option(file_okay=False, help="Write the pages here.")] = None,
    check: Annotated[
        Path | None, typer.Option(file_okay=False, exists=True, help="Fail if a page here is stale.")
    ] = None,
    site: Annotated[
        Path | None, typer.Option(file_okay=False, help="Write the whole documentation as a site here.")
    ] = None,
) -> None:
    """Write the pages that are made from the code: settings, commands, errors; or check them.

    Or write what a server shows at /docs as files: they may be opened from a disk, or put on any web server.
    """
    given = [folder for folder in (write, check, site) if folder]
    if len(given) != 1:
        raise typer.BadParameter("give either --write FOLDER, --check FOLDER or --site FOLDER")
    if site:
        write_site(site)
        return
    folder = given[0]
    pages = {
        "settings.md": settings_page(),
        "errors.md": errors_page(),
        "cli.md": commands_page(context.find_root()),
    }
    if write:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            (folder / name).write_text(text, encoding="utf-8")
        return
    stale = [name for name, text in pages.items() if _text(folder / name) != text]
    if stale:
        raise CommandFailed(
            f"not up to date in {folder}: {', '.join(stale)}", fix="make docs", exit_code=ExitCode.FAILED
        )


def write_site(folder: Path) -> None:
    """What a server shows at /docs, as files whose links are relative."""
    from antiphon.api.reference import contents
    from antiphon.app.described import document
    from antiphon.console.documentation import outline, site
    from antiphon.console.documentation.addresses import Written

    described, addresses = document(settings.Settings()), Written()
    files = site.build(outline.read(outline.root()), addresses, contents(described))
    site.write({**files, addresses.document: msgspec.json.encode(described)}, folder)


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def settings_page() -> str:
    """Every setting: its name, flag, environment variable, default and meaning."""
    lines = [
        "# Settings\n",
        "A value is looked for in this order, the later one winning: the default, the file `antiphon.toml`",
        "in the data folder (`name = value`), the environment, the flag of `antiphon serve`.\n",
        "| Name in the file | Environment | Flag | Default | Meaning |",
        "|---|---|---|---|---|",
    ]
    for row in settings.rows():
        default = f"`{shown_default(row)}`" if row.default != "" else ""
        lines.append(f"| `{row.name}` | `{row.environment}` | `{row.flag}` | {default} | {_cell(row.help)} |")
    return MADE + "\n".join(lines) + "\n"


def errors_page() -> str:
    """Every error: status, type, code and meaning, the last as the tree in `errors.py` draws it."""
    lines = [
        "# Errors\n",
        'An error is answered as `{"error": {"message", "type", "param", "code"}}`, all four keys always',
        "there. In a stream that has begun it is the last frame, and no `[DONE]` follows.\n",
        "| Error | Status | `type` | `code` | Meaning |",
        "|---|---|---|---|---|",
    ]
    meanings = _meanings()
    for kind in _kinds(AntiphonError):
        code = f"`{kind.default_code}`" if kind.default_code else ""
        meaning = meanings.get(kind.__name__, "")
        lines.append(f"| {kind.__name__} | {kind.status} | `{kind.type}` | {code} | {_cell(meaning)} |")
    return MADE + "\n".join(lines) + "\n"


def _kinds(parent: type[AntiphonError]) -> Iterator[type[AntiphonError]]:
    """The errors of the tree that a client can be answered with, in its order."""
    for kind in parent.__subclasses__():
        if kind.__module__ == errors.__name__ and kind is not errors.ConfigurationError:
            yield kind
            yield from _kinds(kind)


def _meanings() -> dict[str, str]:
    rows = re.findall(r"[├└]── (\w+)(?: \d{3})?(?: {2,}(.+))?$", inspect.getdoc(errors) or "", re.MULTILINE)
    return dict(rows)


def commands_page(root: Any) -> str:
    """Every command with its arguments and options, as `--help` has them; `root` is the context of all."""
    return (
        MADE + "\n".join(["# Command line\n", *_command(root.command, root, "antiphon", 2)]).rstrip() + "\n"
    )


def _command(command: Any, root: Any, name: str, level: int) -> Iterator[str]:
    yield f"{'#' * level} `{name}`\n"
    if command.help:
        yield inspect.cleandoc(command.help) + "\n"
    yield f"    {name} {' '.join(command.collect_usage_pieces(root))}\n"
    records = [record for p in command.get_params(root) if (record := p.get_help_record(root))]
    if records:
        yield "| Option | Meaning |\n|---|---|"
        yield from (f"| `{_cell(option)}` | {_cell(meaning)} |" for option, meaning in records)
        yield ""
    if command.epilog:
        yield command.epilog + "\n"
    for child in getattr(command, "commands", {}).values():
        if not child.hidden:
            yield from _command(child, root, f"{name} {child.name}", level + 1)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
