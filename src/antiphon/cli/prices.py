"""`antiphon prices`: what snapshots cost, for the operator."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from antiphon import settings
from antiphon.catalogue import prices as texts
from antiphon.catalogue.additions import append
from antiphon.catalogue.catalogue import load
from antiphon.catalogue.document import FILE_NAME, parsed, read
from antiphon.catalogue.entries import Entry
from antiphon.catalogue.store import ModelStore
from antiphon.cli.administration import Csv, acted, show
from antiphon.cli.options import Home, Json
from antiphon.errors import ConfigurationError
from antiphon.values import Price

_COLUMNS = {
    "snapshot": "Snapshot",
    "since": "Since",
    "input": "Input, 1k tokens",
    "cached_input": "Cached input, 1k tokens",
    "output": "Output, 1k tokens",
    "second": "Second of sound",
}

prices = typer.Typer(help="Show and set what snapshots cost, in US dollars.", no_args_is_help=True)


@prices.command("list")
def list_prices(as_json: Json = False, as_csv: Csv = False, home: Home = None) -> None:
    """List the prices of every snapshot, each from its day (UTC) on; one without a price is free."""
    rows = [
        {"snapshot": entry.id, "since": price.since.isoformat(), **_amounts(price)}
        for entry in load(_folder(home)).entries.values()
        for price in entry.prices
    ]
    show(rows, _COLUMNS, as_json=as_json, as_csv=as_csv)


@prices.command("set")
def set_price(
    snapshot: Annotated[str, typer.Argument(help="The snapshot, by its dated id.")],
    input: Annotated[str, typer.Option(help="Dollars for 1,000 tokens of prompt, as 0.002.")] = "0",
    cached_input: Annotated[
        str | None, typer.Option(help="Dollars for 1,000 tokens of prompt from a cache; default as --input.")
    ] = None,
    output: Annotated[str, typer.Option(help="Dollars for 1,000 tokens of answer.")] = "0",
    second: Annotated[str, typer.Option(help="Dollars for a second of sound, as 0.0001.")] = "0",
    since: Annotated[
        str, typer.Option(metavar="DAY", help="The first day (UTC) it holds, as 2026-11-01; default today.")
    ] = "",
    home: Home = None,
) -> None:
    """Set what a snapshot costs from a day on; a part that is not given is free from then on.

    It is added to models.toml in the data folder, and a server that runs knows it a second later. What was
    charged before stays as it was.
    """
    folder = _folder(home)
    entry = load(folder).entries.get(snapshot)
    if entry is None:
        raise ConfigurationError(f"There is no snapshot '{snapshot}'", fix="see antiphon models list")
    line = {"since": since or f"{datetime.now(UTC).date()}", "input": input, "output": output}
    cached = {} if cached_input is None else {"cached_input": cached_input}
    price = texts.parse(line | cached | {"second": second})
    set_to = {"since": f"{price.since}"} | _amounts(price)
    acted(home, "price.created", {"id": snapshot, "data": set_to}, partial(_write, folder, entry, price))
    typer.echo(f"{snapshot} has a new price from {price.since} on. A server that runs knows it in a second.")


def _write(folder: Path, entry: Entry, price: Price) -> None:
    path = folder / FILE_NAME
    own = parsed(path, read(path)).get("snapshots", {}).get(entry.id, {})
    # The operator's prices replace those that are shipped: what was in force before is written down first.
    before = () if "prices" in own else entry.prices
    append(path, "\n".join(texts.toml(entry.id, each) for each in (*before, price)), ModelStore(folder))


def _amounts(price: Price) -> dict[str, str]:
    return {name: texts.dollars(getattr(price, name)) for name in list(_COLUMNS)[2:]}


def _folder(home: str | None) -> Path:
    return settings.load({"home": home}).home_path
