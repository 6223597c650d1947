"""`antiphon data`: what is kept of requests, for how long, what it is used for, and how it is deleted."""

from __future__ import annotations

import typer

from antiphon.cli.data_consent import consent, opt_in, opt_out
from antiphon.cli.data_export import erase, export
from antiphon.cli.data_policy import policy
from antiphon.cli.data_purge import public_key, purge, receipts

data = typer.Typer(help="Keep, delete and use content of requests as was promised.", no_args_is_help=True)
data.add_typer(policy, name="policy")
data.command()(opt_in)
data.command()(opt_out)
data.command()(consent)
data.command()(purge)
data.command()(receipts)
data.command()(public_key)
data.command()(export)
data.command()(erase)
