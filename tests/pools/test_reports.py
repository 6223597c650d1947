"""What processes tell each other of engines."""

from __future__ import annotations

import asyncio

import msgspec

from antiphon.address import Address
from antiphon.pools.reports import Engines, Gateways, Report, Told, Uses

ONE = Engines({"k": Report(Address(host="h", port=7, secret="s"), frozenset({"a", "b"}))})


def test_what_is_told_survives_the_pipe() -> None:
    uses = Uses({"k": 2}, frozenset({"j"}), ready=True)
    assert msgspec.json.decode(msgspec.json.encode(ONE), type=Engines) == ONE
    assert msgspec.json.decode(msgspec.json.encode(uses), type=Uses) == uses
    assert msgspec.json.decode(b"{}", type=Uses) == Uses()


async def test_a_gateway_waits_for_what_it_is_told() -> None:
    told = Told()
    assert told.of("k") is None and not told.heard.is_set()
    waiting = asyncio.create_task(told.change())
    await asyncio.sleep(0)
    assert not waiting.done()
    told.hear(ONE)
    await asyncio.wait_for(waiting, 1)
    assert told.heard.is_set()
    assert told.of("k") == ONE.ready["k"] and told.of("j") is None
    told.wake("k")
    assert (told.wishes(), told.wishes()) == ({"k"}, frozenset())


def test_uses_are_added_up_until_who_has_them_is_gone() -> None:
    gateways = Gateways()
    woken: list[str] = []
    gateways.on_wake = woken.append
    gateways.hear(1, Uses({"k": 2, "j": 0}, frozenset({"k"})))
    gateways.hear(2, Uses({"k": 3}))
    assert (gateways.busy("k"), gateways.busy("j"), gateways.busy("x")) == (5, 0, 0)
    assert (gateways.use("j"), gateways.use("x"), woken) == (True, False, ["k"])
    gateways.gone(1)
    gateways.gone(3)
    assert (gateways.busy("k"), gateways.use("j")) == (3, False)


def test_it_is_known_who_has_heard() -> None:
    gateways = Gateways()
    assert gateways.heard()
    gateways.tell(ONE)
    assert gateways.engines == Engines(ONE.ready, 1) and gateways.heard(), "there is none yet"
    gateways.hear(1, Uses(heard=1))
    gateways.hear(2, Uses())
    assert not gateways.heard()
    gateways.hear(2, Uses(heard=1))
    assert gateways.heard()
    gateways.tell(Engines())
    assert not gateways.heard()
    gateways.gone(1)
    gateways.hear(2, Uses(heard=2))
    assert gateways.heard()


def test_only_news_are_told() -> None:
    gateways = Gateways()
    first = gateways.change
    gateways.tell(Engines())
    assert gateways.change is first and not first.is_set()
    gateways.tell(ONE)
    assert gateways.change is not first and first.is_set()
