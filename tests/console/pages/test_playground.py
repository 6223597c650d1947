"""The playground, as the server writes it: what may be chosen, and why somebody may not chat."""

from __future__ import annotations

from typing import Any

from console_service import House


async def test_models_and_projects_to_choose_from(house: House) -> None:
    await house.world.access.projects.create(house.organization.id, "<lab>", by=None)
    async with house.visitor("member") as visitor:
        text = await visitor.seen("/playground")
        assert '<option value="gpt-3.5-turbo" data-snapshot="smollm2-135m-instruct-2024-11-01"' in text
        assert 'data-context="8192" data-input="2000000" data-cached="2000000" data-output="2000000"' in text
        assert f'<option value="{house.project.id}">shop</option>' in text and "&lt;lab&gt;" in text
        assert "whisper-1" not in text
        assert "/console/playground.js" in text and f"http://127.0.0.1:{house.service.port}" in text


async def test_what_the_page_sends_is_answered(house: House) -> None:
    async with house.visitor("member") as visitor:
        await visitor.seen("/playground")
        body: dict[str, Any] = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hello"}]}
        asked = {"json": body, "headers": {"OpenAI-Project": house.project.id}}
        status, answer = await visitor.call("POST", "/v1/chat/completions", **asked)
        assert status == 200 and answer["choices"][0]["message"]["content"]


async def test_a_reader_is_told_why_not_and_who_changes_it(house: House) -> None:
    async with house.visitor("reader") as visitor:
        text = await visitor.seen("/playground")
        assert "Your role is reader" in text and 'href="/members"' in text
        assert "playground.js" not in text and "composer" not in text


async def test_without_a_project_there_is_nothing_to_bill(house: House) -> None:
    await house.world.access.projects.archive(house.organization.id, house.project.id, by=None)
    for role, said in (("owner", "Make a project first."), ("member", "An owner of acme makes one.")):
        async with house.visitor(role) as visitor:
            text = await visitor.seen("/playground")
            assert "No project yet" in text and said in text and "playground.js" not in text
