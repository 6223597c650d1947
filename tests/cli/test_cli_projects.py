from __future__ import annotations

from operator_shell import Shell


def test_projects_are_made_listed_and_archived(shell: Shell) -> None:
    shop = shell.printed("projects", "create", "shop")
    till = shell.json("projects", "create", "till")
    assert shop.startswith("proj_") and till["name"] == "till"
    assert shell.printed("projects", "archive", "shop") == f"{shop} is archived."
    listed = {project["name"]: project["archived_at"] for project in shell.json("projects", "list")}
    assert listed["till"] is None and isinstance(listed["shop"], int)
    table = {line.split()[1]: line.split()[3] for line in shell.printed("projects", "list").splitlines()}
    assert table["till"] == "never" and table["shop"].startswith("20")
    assert shell.printed("projects", "list", "--csv").splitlines()[0] == "id,name,created_at,archived_at"


def test_projects_are_of_the_organization_that_is_named(shell: Shell) -> None:
    shell.printed("orgs", "create", "acme")
    made = shell.printed("projects", "create", "shop", "--org", "acme")
    assert [project["id"] for project in shell.json("projects", "list", "--org", "acme")] == [made]
    assert shell.json("projects", "list") == []
    assert shell.failed("projects", "archive", made)[0] == 1
    assert shell.failed("projects", "create", "shop", "--org", "missing")[0] == 1
    assert shell.printed("projects", "archive", made, "--org", "acme") == f"{made} is archived."


def test_keys_of_an_archived_project_cannot_be_made(shell: Shell) -> None:
    shell.printed("projects", "create", "shop")
    shell.printed("projects", "archive", "shop")
    exit_code, message = shell.failed("keys", "create", "--project", "shop")
    assert exit_code == 1 and "archived" in message
