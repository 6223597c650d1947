"""What may be ordered as a dedicated instance, and how a wrong order is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from antiphon.catalogue.entries import Dedicated, Entry
from antiphon.errors import InvalidRequest
from antiphon.operations import orders
from antiphon.operations.orders import Change
from service import CHAT, SPEECH, Fixed, catalogue

OFFER = {"price_per_hour": "1.50"}
NOW = 1_800_000_000


@pytest.fixture
def offering(tmp_path: Path) -> Fixed:
    return catalogue(tmp_path, {"snapshots": {CHAT: {"dedicated": OFFER}}})


def entry(offering: Fixed, **changes: Any) -> Entry:
    return msgspec.structs.replace(offering.entries[CHAT], **changes)


@contextmanager
def refused(param: str, text: str) -> Iterator[None]:
    with pytest.raises(InvalidRequest, match=text) as found:
        yield
    assert found.value.param == param and f"'{param}'" in found.value.message


def test_an_alias_stands_for_what_it_means_now(offering: Fixed) -> None:
    assert orders.offered(offering, "gpt-3.5-turbo", priced=False).id == CHAT
    assert orders.offered(offering, CHAT, priced=False).id == CHAT


def test_what_is_not_offered_is_to_be_had_at_an_agreed_price(offering: Fixed) -> None:
    assert orders.offered(offering, "whisper-1", priced=True).id == SPEECH
    with refused("model", f"not offered as a dedicated instance. These are: {CHAT}"):
        orders.offered(offering, "whisper-1", priced=False)


def test_where_nothing_is_offered_it_is_said(tmp_path: Path) -> None:
    with refused("model", "None is: the operator sets a price first"):
        orders.offered(catalogue(tmp_path), CHAT, priced=False)


@pytest.mark.parametrize("model", ["no-such-model", "x" * 1000, ""])
@pytest.mark.parametrize("priced", [True, False])
def test_what_is_not_there_is_refused(offering: Fixed, model: str, priced: bool) -> None:
    with refused("model", "is not installed"):
        orders.offered(offering, model, priced=priced)


def test_what_is_not_installed_is_refused(offering: Fixed) -> None:
    bare = Fixed(offering.entries, offering.aliases, frozenset())
    with refused("model", "is not installed"):
        orders.offered(bare, CHAT, priced=True)


def test_what_has_ended_is_refused(tmp_path: Path) -> None:
    ended = {CHAT: {"dedicated": OFFER, "shutdown": date(2020, 1, 1)}}
    with refused("model", "was shut down on 2020-01-01"):
        orders.offered(catalogue(tmp_path, {"snapshots": ended}), CHAT, priced=False)


def test_a_context_is_the_snapshots_unless_something_else_is_said(offering: Fixed) -> None:
    one = entry(offering)
    assert orders.checked_context(one, None) == 8192
    assert orders.checked_context(one, 16) == 16 and orders.checked_context(one, 8192) == 8192
    for context in (0, 15, 8193, -1, 10**9):
        with refused("context_length", "between 16 and 8192"):
            orders.checked_context(one, context)


def test_an_offer_may_allow_less_context_or_more(offering: Fixed) -> None:
    less = entry(offering, dedicated=Dedicated(price_per_hour="1", context=2048))
    assert orders.checked_context(less, None) == 2048
    with refused("context_length", "between 16 and 2048"):
        orders.checked_context(less, 2049)
    more = entry(offering, dedicated=Dedicated(price_per_hour="1", context=32_768))
    assert orders.checked_context(more, None) == 8192 and orders.checked_context(more, 32_768) == 32_768


def test_speech_has_no_context(offering: Fixed) -> None:
    speech = offering.entries[SPEECH]
    assert orders.checked_context(speech, None) == 0
    with refused("context_length", "speech has none"):
        orders.checked_context(speech, 100)


def test_a_load_is_what_the_engine_serves_unless_something_else_is_said(offering: Fixed) -> None:
    one = entry(offering)
    assert orders.checked_load(one, "openvino", None) == 32 and orders.checked_load(one, "llama", None) == 8
    assert orders.checked_load(one, "llama", 32) == 32
    assert entry(offering, slots=100).most_load("llama") == 256
    few = entry(offering, dedicated=Dedicated(price_per_hour="1", load=4))
    assert orders.checked_load(few, "llama", None) == 4
    for most, entry_ in ((32, one), (4, few), (32, entry(offering, dedicated=None))):
        for load in (0, -1, most + 1):
            with refused("load", f"between 1 and {most}"):
                orders.checked_load(entry_, "llama", load)


def test_there_is_a_replica_at_least() -> None:
    assert orders.checked_replicas(1) == 1 and orders.checked_replicas(64) == 64
    for replicas in (0, -1, 65):
        with refused("replicas", "between 1 and 64"):
            orders.checked_replicas(replicas)


def test_an_end_comes_after_the_beginning(offering: Fixed) -> None:
    one = entry(offering)
    assert orders.checked_end(one, NOW, None) is None
    assert orders.checked_end(one, NOW, NOW + 1) == NOW + 1
    for ends_at in (NOW, NOW - 1, 0):
        with refused("ends_at", "after the instance begins"):
            orders.checked_end(one, NOW, ends_at)


def test_no_instance_outlives_its_model(offering: Fixed) -> None:
    one = entry(offering, shutdown=date(2027, 6, 1))
    last = int(datetime(2027, 6, 1, tzinfo=UTC).timestamp())
    assert orders.checked_end(one, NOW, last) == last
    for ends_at in (None, last + 1):
        with refused("ends_at", rf"shut down on 2027-06-01.*at most {last}"):
            orders.checked_end(one, NOW, ends_at)


def test_what_was_not_said_is_not_wanted() -> None:
    assert Change().wanted() == {}
    assert Change(load=4, ends_at=None).wanted() == {"load": 4, "ends_at": None}
