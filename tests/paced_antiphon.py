"""`antiphon` with paced engines in the place of llama.cpp: they answer slowly, and know nothing.

python paced_antiphon.py serve ...
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parent))

import fake_engine
from antiphon.address import Address
from antiphon.cli.main import main
from antiphon.engines import llama
from antiphon.settings import Settings
from antiphon.values import Deployment


def command(deployments: Sequence[Deployment], settings: Settings, address: Address) -> list[str]:
    """`PACED` has further options of a fake engine, as `token_delay=0.05,ready_after=1`; `PACED_ENDS` names a
    snapshot whose engines end at their start.
    """
    given = dict(option.split("=") for option in os.environ.get("PACED", "").split(",") if option)
    if os.environ.get("PACED_ENDS") in {deployment.snapshot for deployment in deployments}:
        given["exit"] = "1"
    slots = sum(deployment.slots for deployment in deployments)
    return fake_engine.command(address, slots=slots, tokens=100_000, **given)


def run() -> None:
    """Be `antiphon`, with these engines."""
    llama.ENGINE = msgspec.structs.replace(llama.ENGINE, command=command)
    main()


if __name__ == "__main__":
    run()
