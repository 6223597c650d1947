"""Checks of what is served elsewhere: whether it may be asked, answers, takes the key and has the model."""

from __future__ import annotations

import asyncio

from antiphon.address import Address
from antiphon.catalogue import catalogue
from antiphon.catalogue.store import ModelStore
from antiphon.cli.checks import Finding
from antiphon.engines import openai, remote
from antiphon.engines.openai_answer import refusal
from antiphon.engines.upstream import Upstream
from antiphon.errors import AntiphonError, ConfigurationError
from antiphon.settings import Settings
from antiphon.values import Deployment

_SECONDS = 5.0


def upstreams(settings: Settings) -> Finding:
    """Every model that is served at a URL, asked at each."""
    found = catalogue.load(settings.home_path).deployments(ModelStore(settings.home_path), settings)
    sites = [(one, number) for one in found if one.site for number in range(len(one.site.urls))]
    problems = [problem for one, number in sites if (problem := _problem(one, number, settings))]
    if problems:
        told = "; ".join(problem.message for problem in problems)
        return Finding("problem", told, next((problem.fix for problem in problems if problem.fix), ""))
    answered = [f"{one.snapshot} at {one.site.urls[number]}" for one, number in sites if one.site]
    return Finding("ok", ", ".join(answered) or "nothing is served elsewhere")


def _problem(deployment: Deployment, number: int, settings: Settings) -> ConfigurationError | None:
    """What is wrong at one URL; None if nothing is."""
    assert deployment.site is not None
    where = f"{deployment.snapshot} at {deployment.site.urls[number]}"
    try:
        address = remote.reached(deployment, number, settings)
        asyncio.run(_asked(address, deployment.site.model))
    except ConfigurationError as problem:
        return ConfigurationError(f"{where}: {problem.message}", fix=problem.fix)
    except (AntiphonError, TimeoutError) as problem:
        said = f" ({problem.message})" if isinstance(problem, AntiphonError) else ""
        return ConfigurationError(f"{where} does not answer{said}", fix="start it, or mend its `url`")
    return None


async def _asked(address: Address, model: str) -> None:
    upstream = Upstream(address, refusal)
    try:
        async with asyncio.timeout(_SECONDS):
            openai.find(await upstream.get(f"{address.base}/models"), model)
    finally:
        await upstream.close()
