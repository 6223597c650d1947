"""The bill of two organizations is what their clients were handed, to the nano-dollar.

Clients of today talk to a real server through a recorder; some of them leave midway. What the recorder saw is
priced here, and compared with every place where the server tells costs.
"""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
from benchmarks.processes import Server, antiphon
from bill_cases import BASE, CHAT, PROMPTS, TINY, Case, Plan, Tenant, messages
from handed import Speech
from recorder import TAG, Exchange, recording
from typer.testing import CliRunner

import sounds
from antiphon.cli.main import app
from antiphon.values import Usage

CLIENTS = 4
POSTED_SECONDS = 30.0
MODELS = f"""
[snapshots."{CHAT}"]
prices = [{{ since = 2023-03-01, input = "0.002", cached_input = "0.000507", output = "0.003001" }}]

[snapshots."{TINY}"]
serve = true
prices = [{{ since = 2023-03-01, second = "0.000033333" }}]
"""
"""Prices that leave fractions. The other speech model has the price that is shipped."""
DOLLARS = {"input": "0.002", "cached": "0.000507", "output": "0.003001"}
SECOND = {BASE: "0.0001", TINY: "0.000033333"}

Bill = dict[tuple[str, str, str], int]
"""Nano-dollars by project, key and model, of one organization."""


def command(home: Path, *words: str) -> Any:
    """What one of the operator's commands prints as JSON."""
    with ThreadPoolExecutor(1) as thread:  # which has no event loop yet, as this one might
        asked = [*words, "--json", "--home", str(home)]
        done = thread.submit(CliRunner().invoke, app, asked).result()
    assert done.exit_code == 0, done.output or repr(done.exception)
    return json.loads(done.stdout)


def proved(home: Path) -> Any:
    """What the installed program finds wrong with the books, beside the running server."""
    program = str(Path(sys.executable).with_name("antiphon"))
    done = subprocess.run(
        [program, "ledger", "verify", "--json", "--home", str(home)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("bill")
    (home / "models.toml").write_text(MODELS)
    with antiphon(home) as started:
        yield started


@pytest.fixture(scope="module")
def tenants(server: Server) -> list[Tenant]:
    """Two organizations; one has two projects, and one project two keys."""
    found = []
    for org, project in (("acme", "web"), ("acme", "web"), ("acme", "app"), ("globex", "web")):
        if org not in {tenant.organization for tenant in found}:
            command(server.home, "orgs", "create", org)
        key = command(server.home, "keys", "create", "--org", org, "--project", project)
        projects = command(server.home, "projects", "list", "--org", org)
        project_id = next(row["id"] for row in projects if row["name"] == project)
        found.append(Tenant(org, project_id, key["id"], key["value"]))
    return found


def client(server: Server, url: str, secret: str) -> openai.AsyncOpenAI:
    """A client that uses each connection once."""
    once = openai.DefaultAsyncHttpxClient(
        base_url=url, timeout=120, headers={"connection": "close"}, trust_env=False
    )
    return openai.AsyncOpenAI(api_key=secret, base_url=url, max_retries=0, http_client=once)


async def prompt_tokens(api: openai.AsyncOpenAI, text: str) -> int:
    """As the server counts them; asking costs nothing."""
    body = {"model": CHAT, "messages": messages(text)}
    answer = await api.post("/chat/completions/render", body=body, cast_to=object)
    return int(answer["token_count"])  # type: ignore[index]


async def understood(api: openai.AsyncOpenAI, model: str, path: Path) -> Speech:
    told = await api.audio.transcriptions.create(file=path, model=model, response_format="verbose_json")
    segments = told.segments or []
    return Speech(float(told.duration), [one.text for one in segments], [one.end for one in segments])


def priced(model: str, usage: Usage) -> int:
    """Nano-dollars, by this file's own arithmetic."""
    if model in SECOND:
        return math.ceil(usage.seconds) * int(Decimal(SECOND[model]).scaleb(9))
    nano = {name: Decimal(price).scaleb(9) / 1000 for name, price in DOLLARS.items()}
    fresh = usage.prompt_tokens - usage.cached_tokens
    prompt = fresh * nano["input"] + usage.cached_tokens * nano["cached"]
    return math.floor(prompt) + math.floor(usage.completion_tokens * nano["output"])


@asynccontextmanager
async def asking(server: Server) -> AsyncIterator[openai.AsyncOpenAI]:
    """The first key of the installation, whose organization is not looked at here."""
    async with client(server, server.url, server.key) as api:
        yield api


async def sent(server: Server, cases: list[Case]) -> list[Exchange]:
    """What the recorder saw of each case."""
    async with recording(urlsplit(server.url).port or 0) as recorder:
        waiting = iter(enumerate(cases))

        async def work() -> None:
            for number, case in waiting:
                async with client(server, recorder.url, case.tenant.secret) as api:
                    await case.send(api.with_options(default_headers={TAG: str(number)}))

        await asyncio.gather(*(work() for _ in range(CLIENTS)))
    seen = {int(exchange.tag): exchange for exchange in recorder.exchanges}
    assert len(seen) == len(recorder.exchanges) == len(cases)
    return [seen[number] for number in range(len(cases))]


@pytest.mark.timeout(600)  # sixty requests to real engines
@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # of translations, in the client
async def test_the_bill_is_what_was_handed_over(
    server: Server, tenants: list[Tenant], recordings: Path, tmp_path: Path
) -> None:
    began = int(time.time())
    long, short = _sounds(recordings, tmp_path)
    async with asking(server) as api:
        prompts = {text: await prompt_tokens(api, text) for text in PROMPTS}
        speeches = {(m, path): await understood(api, m, path) for m in (BASE, TINY) for path in short}
        speeches[TINY, long] = await understood(api, TINY, long)
    cases = Plan(tenants, prompts, speeches).cases(long, short)
    exchanges = await sent(server, cases)

    expected: dict[str, Counter[tuple[str, str, str]]] = {}
    used: dict[str, Counter[str]] = {}
    for case, exchange in zip(cases, exchanges, strict=True):
        usage = case.used(exchange)
        place = (case.tenant.project_id, case.tenant.key_id, case.model)
        expected.setdefault(case.tenant.organization, Counter())[place] += priced(case.model, usage)
        if usage != Usage():
            _add(used.setdefault(case.tenant.organization, Counter()), usage)
    assert sum(exchange.left for exchange in exchanges) >= 20
    assert set(expected) == {"acme", "globex"}

    for name in expected:
        bill = {place: amount for place, amount in expected[name].items() if amount}
        await _until_posted(server, name, bill)
        assert _commanded(server, name) == bill
        key = command(server.home, "keys", "create", "--org", name, "--admin")["value"]
        await _check_pages(server, key, began, bill, used[name])
    assert proved(server.home) == []


def _sounds(recordings: Path, folder: Path) -> tuple[Path, list[Path]]:
    """A long recording of several segments, and short ones."""
    long = folder / "long.wav"
    long.write_bytes(sounds.encode(sounds.speech(recordings)))
    return long, sorted(recordings.glob("en_*.wav"))[1:3]


def _add(used: Counter[str], usage: Usage) -> None:
    """As usage pages count it."""
    used.update(
        input_tokens=usage.prompt_tokens,
        input_cached_tokens=usage.cached_tokens,
        output_tokens=usage.completion_tokens,
        seconds=math.ceil(usage.seconds),
        num_model_requests=1,
    )


async def _until_posted(server: Server, name: str, bill: Bill) -> None:
    """Wait for what is still on its way into the database; a wrong bill is left to the assertion after it."""
    deadline = time.monotonic() + POSTED_SECONDS
    while _commanded(server, name) != bill and time.monotonic() < deadline:
        await asyncio.sleep(0.5)


def _commanded(server: Server, name: str) -> Bill:
    """The bill as `antiphon costs` shows it."""
    groups = [word for group in ("project", "key", "model") for word in ("--group-by", group)]
    names = {row["name"]: row["id"] for row in command(server.home, "projects", "list", "--org", name)}
    bill: Counter[tuple[str, str, str]] = Counter()
    for row in command(server.home, "costs", "--org", name, *groups):
        bill[names[row["project"]], row["key"], row["model"]] += int(Decimal(row["amount"]).scaleb(9))
    return dict(bill)


async def _check_pages(server: Server, key: str, began: int, bill: Bill, used: Counter[str]) -> None:
    """The same over HTTP: costs by project, key and model, and the sums of the usage pages."""
    async with openai.AsyncOpenAI(api_key=key, admin_api_key=key, base_url=server.url) as api:
        organization = api.admin.organization
        raw = await organization.usage.with_raw_response.costs(
            start_time=began - began % 86_400, group_by=["project_id", "api_key_id", "line_item"]
        )
        costs: Counter[tuple[str, str, str]] = Counter()
        for result in _results(json.loads(raw.http_response.text, parse_float=Decimal, parse_int=Decimal)):
            model = result["line_item"].rpartition(", ")[0]
            amount = result["amount"]["value"].scaleb(9)
            assert amount == int(amount)
            costs[result["project_id"], result["api_key_id"], model] += int(amount)
        assert {place: amount for place, amount in costs.items() if amount} == bill

        found: Counter[str] = Counter()
        for page in (organization.usage.completions, organization.usage.audio_transcriptions):
            for result in _results((await page(start_time=began - began % 86_400)).to_dict()):
                found.update({name: result[name] for name in used if result.get(name)})
        assert found == used


def _results(page: Any) -> Iterator[Any]:
    assert not page["has_more"]
    for bucket in page["data"]:
        yield from bucket["results"]
