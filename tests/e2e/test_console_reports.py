"""Usage, costs, limits and instances in a real browser: drawn, changed, downloaded."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from benchmarks.processes import Server, antiphon
from console_people import command, signed_in
from playwright.sync_api import expect
from sqlalchemy import create_engine, insert, select

from antiphon.ledger.levels import Level, Percentiles
from antiphon.ledger.measurements import Measurement, save
from antiphon.storage.tables import organization, project, usage_rollup
from browser import Browser, require_sound

CHAT = "smollm2-135m-instruct-2024-11-01"
OFFER = f'[snapshots."{CHAT}".dedicated]\nprice_per_hour = "1.50"\n'
DAY = 86_400
TRACES = ".plot svg .trace"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that offers instances, with books of two days and a measurement."""
    home = tmp_path_factory.mktemp("reports")
    (home / "models.toml").write_text(OFFER)
    with antiphon(home) as started:
        _fill(started)
        yield started


def _fill(server: Server) -> None:
    now = int(time.time())
    waits = Percentiles(p50=0.5, p90=0.6, p95=0.7, p99=0.8)
    levels = tuple(
        Level(
            load=load,
            answered=9,
            failed=0,
            seconds=9.0,
            throughput=90.0 * load,
            written=30.0,
            prompt_tokens=9.0,
            answer_tokens=9.0,
            first_token=waits,
            answer=waits,
        )
        for load in (1, 4)
    )
    with create_engine(f"sqlite:///{server.home / 'antiphon.db'}").begin() as connection:
        owner = connection.scalars(select(organization.c.id)).one()
        place = connection.scalars(select(project.c.id)).first()
        for number, key in ((1, "key_1"), (1, "key_2"), (2, "key_1")):
            start = now - number * DAY
            row = {
                "organization_id": owner,
                "project_id": place,
                "key_id": key,
                "snapshot": CHAT,
                "task": "chat",
                "member_id": None,
                "requests": 7,
                "input_tokens": 1200,
                "cached_tokens": 200,
                "output_tokens": 300,
                "seconds": 0,
                "input_cost": 2_400_000,
                "output_cost": 600_001,
                "audio_cost": 0,
            }
            for width in (60, 3600, DAY):
                values = {**row, "width": width, "start": start - start % width}
                connection.execute(insert(usage_rollup).values(values))
        save(
            connection,
            Measurement(
                id="measurement_1",
                organization_id=owner,
                snapshot=CHAT,
                engine="openvino",
                measured_at=now,
                levels=levels,
            ),
        )


def test_usage_is_drawn_grouped_and_downloaded(browser: Browser, server: Server) -> None:
    with signed_in(browser, server, "reader") as visitor:
        page = visitor.page
        page.goto("/usage")
        expect(page.locator("figure.chart")).to_have_count(2)
        expect(page.locator("figure.chart").first.locator(TRACES)).to_have_count(3)
        page.get_by_role("link", name="Key", exact=True).click()
        expect(page.locator("figure.chart").first.locator(TRACES)).to_have_count(2)
        page.get_by_role("link", name="7 days").click()
        page.get_by_role("link", name="By hour").click()
        expect(page.get_by_role("columnheader", name="Hour (UTC)")).to_be_visible()
        require_sound(page)
        page.get_by_role("link", name="By day").click()
        page.emulate_media(color_scheme="dark")
        expect(page.locator(TRACES).first).to_be_visible()
        require_sound(page)
        with page.expect_download() as download:
            page.get_by_role("link", name="Download CSV").click()
        assert download.value.suggested_filename.startswith("usage-")
        lines = download.value.path().read_text().splitlines()
        assert len(lines) == 4 and all(line.endswith(",7,1200,200,300,0") for line in lines[1:])


def test_costs_are_drawn_for_the_days_that_are_chosen(browser: Browser, server: Server) -> None:
    with signed_in(browser, server, "member", color_scheme="dark") as visitor:
        page = visitor.page
        page.goto("/costs?group=item")
        expect(page.locator(TRACES)).to_have_count(2)
        expect(page.locator(".figure").first).to_have_text("$0.009")
        require_sound(page)
        page.get_by_text("Other days").click()
        page.get_by_label("From", exact=True).fill("2026-01-01")
        page.get_by_label("To, with that day").fill("2026-01-02")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_text("Nothing was paid for in this time")).to_be_visible()
        require_sound(page)


def test_an_owner_sets_a_budget_and_a_rate(browser: Browser, server: Server) -> None:
    with signed_in(browser, server, "owner") as visitor:
        page = visitor.page
        page.goto("/limits")
        page.get_by_label("Dollars a month of The whole organization").fill("12.50")
        page.get_by_role("button", name="Set the budget of The whole organization").click()
        expect(page.get_by_role("status")).to_contain_text("in force")
        expect(page.get_by_role("row").filter(has_text="The whole organization")).to_contain_text("$12.50")
        page.get_by_role("link", name=f"Change the limits of {CHAT}").click()
        page.get_by_label("Requests a minute").fill("600")
        require_sound(page)
        page.get_by_role("button", name="Save").click()
        expect(page.locator("td strong", has_text="600")).to_be_visible()
        require_sound(page)


def test_an_instance_is_quoted_reserved_drawn_and_called_off(browser: Browser, server: Server) -> None:
    with signed_in(browser, server, "owner") as visitor:
        page = visitor.page
        page.goto("/dedicated")
        expect(page.get_by_text("No instance yet")).to_be_visible()
        for title in ("Break-even of", "Load curve of"):
            figure = page.locator("figure.chart").filter(has_text=title)
            expect(figure.locator(TRACES)).to_have_count(2)
        require_sound(page)
        order = page.locator("form[action='/dedicated/quote']")
        order.get_by_label("Name").fill("launch")
        order.get_by_label("From (UTC)").fill(time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + DAY)))
        order.get_by_role("button").click()
        expect(page.get_by_text("$1.50 an hour for each replica")).to_be_visible()
        require_sound(page)
        page.get_by_role("button", name="Reserve it").click()
        expect(page.get_by_role("status")).to_contain_text("is reserved")
        expect(page.locator(".plot.spans .trace").first).to_be_visible()
        require_sound(page)
        assert "launch" in command(server, "dedicated", "list", "--csv")
        page.get_by_text("Scale, change or end").click()
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="End it now").click()
        expect(page.get_by_role("status")).to_contain_text("has ended")
