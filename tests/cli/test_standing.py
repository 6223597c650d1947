from __future__ import annotations

import fcntl
from pathlib import Path

from antiphon.cli import standing
from antiphon.cli.standing import Standing


def test_only_a_server_that_runs_says_how_it_stands(tmp_path: Path) -> None:
    now = Standing(pid=1, server=2, version="1", restarts=3)
    assert not standing.held(tmp_path) and standing.read(tmp_path) is None
    standing.write(tmp_path, now)
    assert standing.read(tmp_path) is None  # left behind by one that died
    with (tmp_path / standing.LOCK_NAME).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert standing.held(tmp_path) and standing.read(tmp_path) == now
        assert (tmp_path / standing.FILE_NAME).stat().st_mode & 0o777 == 0o600
        (tmp_path / standing.FILE_NAME).write_text("{")
        assert standing.read(tmp_path) is None
        standing.remove(tmp_path)
        assert standing.read(tmp_path) is None
    assert not standing.held(tmp_path)
