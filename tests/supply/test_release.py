"""A release: the same bytes each time, without a network, and refused if one bit is another."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from supply import release, sbom
from supply.release import SIGNATURE, SUMS, Refused

EPOCH = 1_700_000_000
needs_ssh = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="there is no ssh-keygen here")


def key(folder: Path, name: str = "key") -> Path:
    folder.mkdir(exist_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name)]
    subprocess.run(command, check=True, timeout=30)
    return folder / name


def signers(key: Path, *, options: str = 'namespaces="antiphon-release"', name: str = "antiphon") -> Path:
    path = key.with_name("signers")
    path.write_text(f"{name} {options} {key.with_suffix('.pub').read_text()}")
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "dist"
    release.build(folder, EPOCH)
    return folder


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    """A signed release of two short files, and its signers."""
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "a.whl").write_bytes(bytes(range(100)))
    (folder / "b.tar.gz").write_bytes(b"b" * 100)
    sums = (f"{release._digest(path)}  {path.name}\n" for path in sorted(folder.iterdir()))
    (folder / SUMS).write_text("".join(sums))
    signer = key(tmp_path / "keys")
    release.sign(folder, signer)
    return folder, signers(signer)


def test_two_builds_are_equal_to_the_byte(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another zone, with other permissions of new files; no index, proxy or cache can be reached."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    before = os.umask(0o077)
    try:
        release.build(tmp_path / "dist", EPOCH)
    finally:
        os.umask(before)
    names = sorted(path.name for path in built.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "dist").iterdir())
    assert [
        name for name in names if (built / name).read_bytes() != (tmp_path / "dist" / name).read_bytes()
    ] == []


def test_what_is_released_is_whole(built: Path) -> None:
    version, _ = sbom.project()
    with zipfile.ZipFile(built / f"antiphon-{version}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
    assert {"antiphon/catalogue/models.toml", "antiphon/admission/ask.lua"} <= names
    with tarfile.open(built / f"antiphon-{version}.tar.gz") as source:
        inside = {name.partition("/")[2] for name in source.getnames()}
    assert {"requirements/serve.txt", "requirements/floors.toml", "SECURITY.md", "Makefile"} <= inside
    assert not [name for name in inside if name.startswith((".venv", "build/", ".git/"))]


def test_what_is_there_already_is_not_mixed_with_a_release(tmp_path: Path) -> None:
    (tmp_path / "old.whl").touch()
    with pytest.raises(Refused, match="is not empty"):
        release.build(tmp_path, EPOCH)


@needs_ssh
def test_a_signed_release_is_believed(built: Path, tmp_path: Path) -> None:
    folder, signer = Path(shutil.copytree(built, tmp_path / "dist")), key(tmp_path / "keys")
    release.sign(folder, signer)
    assert release.verify(folder, signers(signer)) == sorted(
        path.name for path in built.iterdir() if path.name != SUMS
    )


@needs_ssh
def test_a_flipped_bit_is_refused_wherever_it_is(small: tuple[Path, Path]) -> None:
    folder, signers = small
    assert release.verify(folder, signers) == ["a.whl", "b.tar.gz"]
    chance = random.Random(8)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        first, last = (60, len(whole) - 40) if path.name == SIGNATURE else (0, len(whole))
        for place in chance.sample(range(first * 8, last * 8), 10):
            changed = bytearray(whole)
            changed[place // 8] ^= 1 << place % 8
            path.write_bytes(changed)
            with pytest.raises(Refused):
                release.verify(folder, signers)
        path.write_bytes(whole)
    assert release.verify(folder, signers)


@needs_ssh
def test_other_files_and_other_signers_are_refused(small: tuple[Path, Path], tmp_path: Path) -> None:
    folder, trusted = small
    with pytest.raises(Refused, match="ssh-keygen -q -Y"):
        release.verify(folder, signers(key(tmp_path / "other")))
    with pytest.raises(Refused, match="ssh-keygen -q -Y"):
        release.verify(folder, signers(tmp_path / "keys/key", name="somebody"))
    (folder / "c.whl").touch()
    with pytest.raises(Refused, match=r"c\.whl is not listed"):
        release.verify(folder, signers(tmp_path / "keys/key"))
    (folder / "c.whl").unlink()
    (folder / "a.whl").unlink()
    with pytest.raises(Refused, match=r"a\.whl is missing"):
        release.verify(folder, trusted)
    for name in (SIGNATURE, SUMS):
        (folder / name).unlink()
        with pytest.raises(Refused, match=f"{name} is missing"):
            release.verify(folder, trusted)


@needs_ssh
def test_a_signature_for_something_else_does_not_count(small: tuple[Path, Path], tmp_path: Path) -> None:
    folder, trusted = small
    (folder / SIGNATURE).unlink()
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(tmp_path / "keys/key"), "-n", "git"]
    subprocess.run([*command, str(folder / SUMS)], check=True, timeout=30)
    with pytest.raises(Refused, match="ssh-keygen -q -Y"):
        release.verify(folder, trusted)


def test_a_release_without_a_key_is_none(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="RELEASE_KEY"):
        release._build(tmp_path / "dist", tmp_path / "none")
    assert not (tmp_path / "dist").exists()


def test_only_what_was_committed_is_released(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True, timeout=30)

    git("init", "-q")
    (tmp_path / "a").touch()
    with pytest.raises(Refused, match="more here than was committed"):
        release.commit_time(tmp_path)
    git("add", "a")
    git("commit", "-q", "-m", "a", "--date", f"{EPOCH}")
    assert release.commit_time(tmp_path) > EPOCH
