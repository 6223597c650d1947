"""`antiphon doctor`: what is wrong with this machine or configuration, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from antiphon import settings
from antiphon.cli.checks import Finding
from antiphon.cli.options import Home, Json
from antiphon.cli.output import ExitCode, err_console, plain
from antiphon.errors import AntiphonError, ConfigurationError
from antiphon.home import home_folder
from antiphon.settings import Settings

Check = Callable[[Settings], Finding]
COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


def doctor(as_json: Json = False, home: Home = None) -> None:
    """Say what is wrong with this machine or its configuration, and the fix. Exit code 1 on a problem."""
    with err_console().status("Looking around …"):
        findings = diagnose(home)
    if as_json:
        rows = [{"name": name, **msgspec.structs.asdict(finding)} for name, finding in findings.items()]
        typer.echo(msgspec.json.format(msgspec.json.encode(rows)).decode())
    else:
        Console().print(_table(findings))
    if any(finding.state == "problem" for finding in findings.values()):
        raise typer.Exit(ExitCode.FAILED)


def diagnose(home: str | None) -> dict[str, Finding]:
    """Every check's finding by its name. With settings that are not valid, the others see the defaults."""
    flags = {"home": home}
    valid = Settings(home=str(home_folder(flags)))
    try:
        valid = settings.load(flags)
        given = [f"{name} from {source}" for name, source in settings.sources(flags).items()]
        configuration = Finding("ok", ", ".join(given) or "every setting is at its default")
    except ConfigurationError as problem:
        configuration = Finding("problem", problem.message, problem.fix)
    findings = {"settings": configuration}
    return findings | {name: examine(check, valid) for name, check in _checks().items()}


def examine(check: Check, chosen: Settings) -> Finding:
    """What a check finds. One that fails is a problem itself, told like any other."""
    try:
        return check(chosen)
    except ConfigurationError as problem:
        return Finding("problem", problem.message, problem.fix)
    except AntiphonError as problem:
        return Finding("problem", problem.message, "look at the logs in the data folder")
    except OSError as problem:
        return Finding("problem", f"{problem.filename or 'the system'}: {problem.strerror or problem}")
    except Exception as problem:
        return Finding("problem", f"the check failed with {type(problem).__name__}: {problem}")


def _checks() -> dict[str, Check]:
    # Imported here, since the database library would slow down every other command.
    from antiphon.cli.checks import address, installation, keeping, machine, server, upstreams

    return {
        "python": machine.python,
        "processor": machine.processor,
        "memory": machine.memory,
        "disk": machine.disk,
        "data folder": machine.data_folder,
        "temporary folder": machine.temporary_folder,
        "open files": machine.open_files,
        "isolation": machine.isolation,
        "address": address.address,
        "server": server.server,
        "libraries": installation.libraries,
        "sqlite": installation.sqlite_version,
        "database": installation.database,
        "content keys": keeping.content_keys,
        "content storage": keeping.content_storage,
        "models": installation.models,
        "engines": installation.engines,
        "upstreams": upstreams.upstreams,
    }


def _table(findings: dict[str, Finding]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    for name, finding in findings.items():
        # Text, since a path may look like rich's markup.
        detail = Text(plain(finding.detail))
        if finding.fix:
            detail.append(f"\nFix: {plain(finding.fix)}", style="bold")
        table.add_row(Text(name), Text(finding.state, style=COLOURS[finding.state]), detail)
    return table
