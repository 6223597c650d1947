from __future__ import annotations

from pathlib import Path

import av
from benchmarks.recordings import read

MOST_BYTES = 3_000_000


def test_manifest_tells_the_truth(recordings: Path) -> None:
    found = read(recordings)
    assert {recording.language for recording in found} == {"de", "en", "es", "fr", "pt"}
    for recording in found:
        with av.open(str(recording.path)) as container:
            assert container.duration is not None
            assert abs(container.duration / av.time_base - recording.seconds) < 0.1
        assert recording.reference.strip()


def test_every_recording_is_named_with_its_licence(recordings: Path) -> None:
    rows = [line.split("\t") for line in (recordings / "manifest.tsv").read_text().splitlines()[1:]]
    assert all(len(row) == 6 and all(row) for row in rows)
    files = {path.name for path in recordings.iterdir() if path.is_file()} - {"manifest.tsv", "README.md"}
    assert files == {row[0] for row in rows}


def test_recordings_stay_small(recordings: Path) -> None:
    assert sum(path.stat().st_size for path in recordings.iterdir() if path.is_file()) <= MOST_BYTES
