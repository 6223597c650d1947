from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from antiphon.storage.folders import clean, own_folder

HOLD = """
import sys
from pathlib import Path
from antiphon.storage.folders import own_folder
with own_folder(Path(sys.argv[1])) as folder:
    (folder / "upload").write_text("x")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_only_what_the_dead_left_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "uploads"
    (root / "1").mkdir(parents=True)
    (root / "1" / "upload").write_text("of an older version")
    (root / "upload").write_text("likewise")
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout is not None and other.stdin is not None
        theirs = Path(other.stdout.readline().strip())
        with own_folder(root) as ours:
            (ours / "upload").write_text("x")
            clean(root)
            assert ours.stat().st_mode & 0o777 == 0o700
            assert sorted(path for path in root.iterdir() if path.is_dir()) == sorted([ours, theirs])
            assert (theirs / "upload").exists() and (ours / "upload").exists()
        assert not ours.exists() and theirs.exists()
        other.kill()
    clean(root)
    assert not theirs.exists()
