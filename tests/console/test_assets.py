"""What ships with the console is served, and asked for again only if it changed."""

from __future__ import annotations

from console_service import House


async def test_files_have_a_kind_and_are_kept_by_browsers(house: House) -> None:
    for name, kind in (
        ("antiphon.css", "text/css"),
        ("frame.js", "text/javascript"),
        ("plotly.js", "text/java"),
    ):
        status, headers, _ = await house.service.call("GET", f"/console/{name}")
        assert status == 200 and headers["content-type"].startswith(kind)
        again = {"if-none-match": headers["etag"]}
        assert (await house.service.call("GET", f"/console/{name}", headers=again))[0] == 304
    status, headers, _ = await house.service.call("GET", "/favicon.ico")
    assert (status, headers["content-type"]) == (200, "image/svg+xml")
    assert (await house.service.call("GET", "/console/../pages/keys.py"))[0] in (401, 404)
