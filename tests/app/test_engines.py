"""Where engines run, and who deals out the processors."""

from __future__ import annotations

from pathlib import Path

from antiphon.app.engines import own
from antiphon.catalogue.document import laid_over
from antiphon.pools.reports import Gateways
from antiphon.runtime.base import Command
from antiphon.runtime.local import LocalProcess, LocalRuntime
from antiphon.settings import Settings
from antiphon.values import NOTHING, Capacity, Deployment, Site
from until import until


async def test_relays_are_started_by_the_one_that_deals_out_the_processors(tmp_path: Path) -> None:
    started = []

    class Noting(LocalRuntime):
        async def start(self, name: str, command: Command, needs: Capacity = NOTHING) -> LocalProcess:
            started.append(name)
            raise OSError(None, "It is not to be started.")

    url = "http://127.0.0.1:9/v1"
    entry = {
        "task": "speech", "engine": "openai_speech", "owned_by": "o", "licence": "MIT",
        "released": "2026-03-01", "source": {"kind": "upstream", "url": url},
    }  # fmt: skip
    known = laid_over({"snapshots": {"w": entry}}).snapshots
    site = Site(urls=(url,), model="w")
    relay = Deployment(snapshot="w", task="speech", engine="openai_speech", model=Path("/m"), site=site)
    runtime = Noting(tmp_path / "run", tmp_path / "logs")
    pools = own(Settings(home=str(tmp_path)), runtime, Gateways(), known.__getitem__)
    pools.follow([relay])
    await until(lambda: started == ["w"])
    await pools.stop(0)
