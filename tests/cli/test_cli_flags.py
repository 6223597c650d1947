from __future__ import annotations

import asyncio

from antiphon.access.tenancy import DEFAULT
from antiphon.cli.administration import opened_moderation
from antiphon.moderation.monitor import Seen
from antiphon.moderation.policy import Found
from antiphon.values import Caller
from operator_shell import Shell, begun


def raised(shell: Shell, request_id: str = "req_1", at: float = 1_800_000_000.0) -> str:
    async def run() -> str:
        async with opened_moderation(str(shell.home)) as house:
            organization = await house.access.organizations.find(DEFAULT)
            caller = Caller(key_id="key_1", organization_id=organization.id, organization=DEFAULT)
            found = [Found("input", "hate", 0.91, "rules"), Found("output", "violence", 0.4, "rules")]
            seen = Seen(request_id=request_id, caller=caller, snapshot="chat-1", findings=found, at=at)
            flag = await house.moderating.act(seen)
            assert flag is not None
            return flag.id

    return asyncio.run(run())


def test_flags_are_listed_shown_appealed_against_and_resolved(shell: Shell) -> None:
    begun(shell.home)
    assert shell.printed("flags", "list") == "Nothing is flagged."
    assert shell.json("flags", "list") == []
    first, second = raised(shell), raised(shell, "req_2", 1_800_000_001.0)
    assert [one["id"] for one in shell.json("flags", "list")] == [second, first]
    assert first in shell.printed("flags", "list") and "hate" in shell.printed("flags", "list", "--csv")
    shown = shell.printed("flags", "show", first).splitlines()
    assert {"category: hate", "input: hate: 0.910 (rules)", "output: violence: 0.400 (rules)"} <= set(shown)
    assert shell.json("flags", "show", first)["request_id"] == "req_1"
    assert shell.printed("flags", "appeal", first, "It was a quote.") == f"{first} is appealed against."
    assert [one["id"] for one in shell.json("flags", "list", "--status", "appealed")] == [first]
    exit_code, message = shell.failed("flags", "resolve", first, "upheld")
    assert exit_code == 1 and "needs an answer" in message
    assert (
        shell.printed("flags", "resolve", first, "dismissed", "--answer", "Yes.") == f"{first} is dismissed."
    )
    assert shell.json("flags", "show", first)["answer"] == "Yes."
    assert shell.failed("flags", "show", "flag_none")[0] == 1
    assert (
        shell.json("flags", "list", "--org", "default", "--category", "hate", "--limit", "1")[0]["id"]
        == second
    )


def test_an_organization_is_suspended_and_resumed(shell: Shell) -> None:
    shell.printed("orgs", "create", "acme")
    flag = shell.printed("orgs", "suspend", "acme", "--reason", "spam")
    assert shell.json("flags", "show", flag)["detail"] == "spam"
    assert shell.printed("orgs", "suspend", "acme", "--reason", "spam") == flag
    assert shell.printed("orgs", "resume", "acme") == "acme may go on."
    assert shell.printed("orgs", "resume", "acme") == "acme was neither suspended nor throttled."
    assert shell.failed("orgs", "suspend", "none", "--reason", "spam")[0] == 1
