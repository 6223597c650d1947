"""The `antiphon` command whose chat engine is the stub upstream: `python -m benchmarks.gateway.served serve`.

Everything else is as users run it. `STUB_CORE` in the environment is the core that the stub keeps to.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from antiphon.address import Address
from antiphon.cli.main import main
from antiphon.engines import llama
from antiphon.settings import Settings
from antiphon.values import Deployment
from benchmarks.gateway import stub

CORE = "STUB_CORE"


def command(deployments: Sequence[Deployment], settings: Settings, address: Address) -> list[str]:
    """What starts the stub where llama.cpp's server would be started."""
    return [
        sys.executable,
        str(Path(stub.__file__).resolve()),
        "--socket",
        address.path,
        "--core",
        os.environ[CORE],
    ]


if __name__ == "__main__":
    llama.ENGINE = msgspec.structs.replace(llama.ENGINE, command=command)
    main()
