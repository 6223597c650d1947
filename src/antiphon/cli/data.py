"""`antiphon data`: what is kept of requests, and how it is deleted."""

from __future__ import annotations

import typer

from antiphon.cli.data_purge import public_key, purge, receipts

data = typer.Typer(help="See to what is kept of requests, and that it is deleted.", no_args_is_help=True)
data.command()(purge)
data.command()(receipts)
data.command()(public_key)
