"""The log of requests in the console: lines, filters, one's times, and content while it is kept."""

from __future__ import annotations

from antiphon.console.pages.logs import indented, waterfall
from antiphon.ledger.moments import Times
from antiphon.ledger.request_log import LoggedRequest
from console_service import House

CHAT = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hi"}]}


async def asked(house: House, **fields: object) -> str:
    """The id of a request of a key of the project, once it is in the books."""
    _, key = await house.world.key(house.realm, "bot")
    status, headers, answer = await house.service.call(
        "POST", "/v1/chat/completions", json=CHAT | fields, headers={"authorization": f"Bearer {key}"}
    )
    assert status == 200, answer
    await house.service.books.requests()
    return str(headers["x-request-id"])


async def test_a_request_is_listed_with_what_it_cost_and_shown_with_its_times(house: House) -> None:
    async with house.visitor("member") as visitor:
        assert "No request" in await visitor.seen("/logs")
        request_id = await asked(house)
        text = await visitor.seen("/logs")
        assert request_id[:14] in text and "complete" in text and "gpt-3.5-turbo" in text
        shown = await visitor.seen(f"/logs/{request_id}")
        assert "chat.completions" in shown and "<rect" in shown and ">bot<" in shown
        assert "It is shown to owners" in shown
        assert (await visitor.get(f"/logs?id={request_id}"))[0] == 303
        assert visitor.location == f"/logs/{request_id}"


async def test_filters_find_what_is_asked_for(house: House) -> None:
    request_id = await asked(house)
    async with house.visitor("reader") as visitor:
        for query, there in (
            (f"project={house.project.id}", True),
            ("project=proj_none", False),
            ("model=gpt-3.5-turbo&outcome=complete", True),
            ("model=another", False),
            ("outcome=voided", False),
            ("from=2000-01-01&to=2000-01-02", False),
        ):
            assert (request_id[:14] in await visitor.seen(f"/logs?{query}")) is there, query
        assert "is no day" in await visitor.seen("/logs?from=soon")
        assert (await visitor.get("/logs/req_none"))[0] == 404


async def test_content_is_shown_to_owners_while_it_is_kept_and_that_is_noted(house: House) -> None:
    request_id = await asked(house)
    async with house.visitor("owner") as visitor:
        assert "It is not kept" in await visitor.seen(f"/logs/{request_id}")
        house.kept[request_id] = '{"messages": "<b>hello</b>"}'
        shown = await visitor.seen(f"/logs/{request_id}")
        assert "&lt;b&gt;hello" in shown
    assert "content.viewed" in await house.world.events(house.organization.id)


def test_the_parts_of_a_request_follow_each_other() -> None:
    def bars(times: Times) -> list[tuple[int, int]]:
        one = LoggedRequest(
            id="r", created_at=0, ended_at=1, project_id="p", key_id="k", member_id=None, task="chat",
            endpoint=None, model=None, snapshot="s", outcome="complete", reason=None, input_tokens=1,
            cached_tokens=0, output_tokens=1, seconds=0, cost=0, reserved=0, times=times,
        )  # fmt: skip
        return [(bar.start, bar.milliseconds) for bar in waterfall(one)]

    assert bars(Times(5, 15, 100, 400)) == [(0, 5), (5, 10), (15, 85), (100, 300)]
    assert bars(Times(5, None, None, 20)) == [(0, 5)]
    assert bars(Times()) == []


def test_what_is_no_json_is_shown_as_it_is() -> None:
    assert indented('{"a": "é"}') == '{\n  "a": "é"\n}'
    assert indented("plain") == "plain"
