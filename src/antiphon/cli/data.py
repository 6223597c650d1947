"""`antiphon data`: what is kept of requests, for how long, and what may be done with it."""

from __future__ import annotations

import typer

from antiphon.cli.data_consent import consent, opt_in, opt_out
from antiphon.cli.data_policy import policy

data = typer.Typer(help="Keep, delete and use content of requests as was promised.", no_args_is_help=True)
data.add_typer(policy, name="policy")
data.command()(opt_in)
data.command()(opt_out)
data.command()(consent)
