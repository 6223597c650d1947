"""Flags in the console: read by all, appealed by owners, decided by operators."""

from __future__ import annotations

import re
from html import unescape

from antiphon.access.organizations import Organization
from antiphon.moderation.monitor import Seen
from antiphon.moderation.policy import Found
from antiphon.values import Caller
from console_service import House, Visitor


async def _raised(house: House, of: Organization | None = None, request_id: str = "req_1") -> str:
    caller = Caller(
        key_id="key_1",
        project_id=house.project.id,
        organization_id=(of or house.organization).id,
        organization="",
    )
    seen = Seen(
        request_id=request_id,
        caller=caller,
        snapshot="chat-1",
        findings=[Found("input", "hate", 0.91, "rules")],
        detail="<b>",
        at=house.world.wall,
    )
    flag = await house.services.moderation.moderating.act(seen)
    assert flag is not None
    return flag.id


async def test_an_owner_reads_and_appeals_and_an_operator_decides(house: House) -> None:
    path = f"/flags/{await _raised(house)}"
    async with house.visitor("owner") as owner:
        text = await owner.seen("/flags")
        assert "in good standing" in text and path in text and "0.910" in text and "hate" in text
        assert "No flag like that" in await owner.seen("/flags?status=resolved")
        assert "No flag like that" in await owner.seen("/flags?category=sexual")
        assert path in await owner.seen("/flags?status=open&category=hate&of=all")
        text = await owner.seen(path)
        assert "&lt;b&gt;" in text and "Decide" not in text
        assert "nobody can read it" in await owner.seen(path + "?evidence=1")
        assert "with the operator" in await owner.done(path + "/appeal", {"text": "A <i>novel</i>."})
        text = await owner.seen(path)
        assert "A &lt;i&gt;novel&lt;/i&gt;." in text and "Why the flag is wrong" not in text
        assert "is appealed already" in await owner.refused(path + "/appeal", {"text": "again"})
        assert (await owner.post(path + "/resolve", {"outcome": "dismissed"}))[0] == 403
    async with house.visitor("owner", operator=True) as operator:
        await operator.seen(path)
        assert "must be one of" in await operator.refused(path + "/resolve", {"outcome": "perhaps"})
        text = await operator.refused(path + "/resolve", {"outcome": "dismissed"})
        assert "needs an answer" in text and 'value="dismissed" checked' in text
        decided = await operator.done(path + "/resolve", {"outcome": "dismissed", "answer": "Right."})
        assert "taken back" in decided and "The decision: dismissed" in decided and "Right." in decided


async def test_many_flags_are_shown_fifty_at_a_time_and_those_of_one_state_alone(house: House) -> None:
    ids = []
    for number in range(53):
        house.world.wall += 1
        ids.append(await _raised(house, request_id=f"req_{number}"))
    newest = ids[::-1]

    async def seen(visitor: Visitor, path: str) -> tuple[list[str], dict[str, str]]:
        text = await visitor.seen(path)
        links = re.findall(r'rel="(prev|next)" href="([^"]+)"', text)
        return re.findall(r'<a href="/flags/(flag_\w+)">', text), {
            name: unescape(address) for name, address in links
        }

    async with house.visitor("owner") as visitor:
        await visitor.seen(f"/flags/{ids[0]}")
        await visitor.done(f"/flags/{ids[0]}/appeal", {"text": "It is not."})
        shown, links = await seen(visitor, "/flags?status=open")
        assert shown == newest[:50] and list(links) == ["next"]
        shown, links = await seen(visitor, links["next"])
        assert shown == newest[50:52] and list(links) == ["prev"], "the one that was appealed is left out"
        shown, links = await seen(visitor, links["prev"])
        assert shown == newest[:50] and "status=open" in links["next"]
        assert (await seen(visitor, "/flags?status=appealed"))[0] == [ids[0]]


async def test_a_reader_reads_and_neither_appeals_nor_sees_what_was_flagged(house: House) -> None:
    path = f"/flags/{await _raised(house)}"
    other = await house.world.organization("other")
    theirs = f"/flags/{await _raised(house, other, 'req_2')}"
    async with house.visitor("reader") as visitor:
        text = await visitor.seen(path) + await visitor.seen("/flags")
        assert '<form method="post" action="/flags' not in text and theirs not in text
        assert "nobody can read it" not in await visitor.seen(path + "?evidence=1")
        assert (await visitor.post(path + "/appeal", {"text": "x"}))[0] == 403
        for act in ("thresholds", "thresholds/reset", "suspend", "resume"):
            assert (await visitor.post(f"/flags/{act}"))[0] == 403
        assert (await visitor.get(theirs))[0] == 404
    async with house.visitor("owner", operator=True) as operator:
        assert theirs not in await operator.seen("/flags")
        text = await operator.seen("/flags?of=all")
        assert theirs in text and "<td>other</td>" in text
        assert "Appeal" not in await operator.seen(theirs)


async def test_an_operator_suspends_and_lets_go_on_and_it_is_said_plainly(house: House) -> None:
    _, secret = await house.world.key(house.realm)
    bearer = {"authorization": f"Bearer {secret}"}
    async with house.visitor("owner", operator=True) as visitor:
        await visitor.seen("/flags")
        wanted = {"organization": house.organization.id, "reason": ""}
        assert "Say why" in await visitor.refused("/flags/suspend", wanted)
        assert "Suspend acme" in await visitor.seen("/flags?status=open"), "nothing was done"
        assert "refused from now on" in await visitor.done("/flags/suspend", wanted | {"reason": "abuse <b>"})
        text = await visitor.seen("/flags")
        assert "Suspended" in text and "abuse &lt;b&gt;" in text and "Suspend acme" not in text
        house.world.monotonic += 1
        assert (await house.service.call("GET", "/v1/models", headers=bearer))[0] == 403
        assert "goes on" in await visitor.done("/flags/resume", {"organization": house.organization.id})
        assert "in good standing" in await visitor.seen("/flags")
        house.world.monotonic += 1
        assert (await house.service.call("GET", "/v1/models", headers=bearer))[0] == 200
        nothing = await visitor.refused("/flags/resume", {"organization": house.organization.id})
        assert "nothing to lift" in nothing


async def test_an_operator_sets_thresholds_and_all_read_them(house: House) -> None:
    wanted = {"scope": "organization", "category": "hate", "action": "suspend", "score": "0.9", "times": "5"}
    row = r"<td>hate</td><td>suspend</td><td class=\"number\">0.9</td><td class=\"number\">5</td>"
    async with house.visitor("owner", operator=True) as visitor:
        assert not re.search(row, await visitor.seen("/flags"))
        assert re.search(row, await visitor.done("/flags/thresholds", wanted))
        for name, value in (
            ("score", "2"),
            ("score", "high"),
            ("category", "x"),
            ("scope", "x"),
            ("times", "-1"),
        ):
            assert "must be" in await visitor.refused("/flags/thresholds", wanted | {name: value})
        never = wanted | {"score": "never", "scope": "everybody", "action": "note"}
        assert re.search(row, await visitor.done("/flags/thresholds", never))
        assert not re.search(row, await visitor.done("/flags/thresholds/reset", {"scope": "organization"}))
