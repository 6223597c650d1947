"""Policies, training, receipts and erasure in the console."""

from __future__ import annotations

from functools import partial

from antiphon.privacy import receipts
from antiphon.privacy.consent import CURRENT
from antiphon.privacy.receipts import Count, load_signer
from antiphon.values import Policy
from console_service import House


async def test_an_owner_sets_policies_of_the_organization_and_of_projects(house: House) -> None:
    policies = house.services.policies
    async with house.visitor("owner") as visitor:
        assert "30 days" in await visitor.seen("/data")
        text = await visitor.done("/data/policy", {"project": "", "type": "none", "days": "7"})
        assert "in force" in text and "7 days" in text
        chosen = {"project": house.project.id, "type": "zero_data_retention", "days": "7"}
        await visitor.done("/data/policy", chosen)
        assert (await policies.get(house.organization.id)).policy == Policy(days=7)
        assert (await policies.get(house.organization.id, house.project.id)).policy.days == 0
        for bad, said in (
            ({"type": "none", "days": "31"}, "between 1 and 30"),
            ({"type": "forever"}, "must be one of"),
            ({"type": "organization_default"}, "is for projects"),
            ({"type": "none", "project": "proj_none"}, "no such project"),
        ):
            assert said in await visitor.refused("/data/policy", bad)


async def test_training_is_agreed_to_with_its_text_and_taken_back_and_all_is_on_record(house: House) -> None:
    async with house.visitor("owner") as visitor:
        text = await visitor.seen("/data")
        assert f"Consent to training, version {CURRENT}" in text and "the default" in text
        wanted = {"decision": "in", "version": CURRENT}
        assert "Say that you have read" in await visitor.refused("/data/training", wanted)
        assert "must be that of" in await visitor.refused(
            "/data/training", wanted | {"agreed": "yes", "version": "1"}
        )
        text = await visitor.done("/data/training", wanted | {"agreed": "yes"})
        assert "Opted in" in text and "<td>Owner</td>" in text
        house.world.wall += 60
        text = await visitor.done("/data/training", {"decision": "out"})
        assert "Opted out" in text and "<td>opted in</td>" in text and "<td>opted out</td>" in text


async def test_receipts_are_shown_with_whether_they_are_sound_and_none_of_others(house: House) -> None:
    now = int(house.world.wall)
    signer = load_signer(house.services.settings.home_path)
    mine = Count(house.organization.id, "expired", 7, "chat", 12345)
    await house.world.database.run(partial(receipts.count, counted=[mine], now=now))
    await house.world.database.run(partial(receipts.close, signer=signer, now=now))
    await house.world.database.run(
        partial(receipts.count, counted=[Count("org-2", "expired", 7, "chat", 777)], now=now)
    )
    await house.world.database.run(partial(receipts.close, signer=signer, now=now))
    async with house.visitor("reader") as visitor:
        text = await visitor.seen("/data")
        assert (
            "12,345" in text and "expired, 7 days" in text and ">valid<" in text and signer.public_key in text
        )
        assert "777" not in text and "just checked" in text
        (house.services.settings.home_path / "receipts.key").unlink()
        text = await visitor.seen("/data")
        assert ">not sound<" in text and "are not sound" in text and "777" not in text


async def test_who_is_no_owner_reads_and_changes_nothing(house: House) -> None:
    for role in ("member", "reader"):
        async with house.visitor(role) as visitor:  # type: ignore[arg-type]
            text = await visitor.seen("/data")
            assert "No receipt yet" in text and '<form method="post" action="/data' not in text
            for act in ("policy", "training", "erase", "export", "export/delete"):
                assert (await visitor.post(f"/data/{act}"))[0] == 403
            assert (await visitor.get("/data/export"))[0] == 403


async def test_content_is_erased_once_its_name_was_typed(house: House) -> None:
    async with house.visitor("owner") as visitor:
        await visitor.seen("/data")
        for wrong in ("", "ACME", "shop"):
            assert "letter by letter" in await visitor.refused("/data/erase", {"confirm": wrong})
        assert "letter by letter" in await visitor.refused(
            "/data/erase", {"confirm": "acme", "project": house.project.id}
        )
        assert "requests are erased" in await visitor.done("/data/erase", {"confirm": "acme"})
        chosen = {"confirm": "shop", "project": house.project.id}
        assert "requests are erased" in await visitor.done("/data/erase", chosen)
        assert "no such project" in await visitor.refused("/data/erase", chosen | {"project": "proj_none"})
        events = (await house.world.access.audit.list(house.organization.id)).data
        erased = [one for one in events if one.type == "data.erased"]
        assert len(erased) == 2 and all(one.actor_member_id for one in erased)
