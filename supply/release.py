"""`python -m supply.release build|verify`: what is released, the same bytes each time, and who says so.

Sums of all files, signed with an SSH key: `ssh-keygen` is on every machine that has OpenSSH, and asks nobody.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from supply import sbom
from supply.locks import FOLDER

ROOT = FOLDER.parent
SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"
NAMESPACE = "antiphon-release"
"""So that a signature which was made for something else counts for nothing here."""
SIGNER = "antiphon"
"""By this name the signers' file lists the keys that count."""
SECONDS = 300.0
_LINE = re.compile(r"([0-9a-f]{64})  ([\w.+-]+)", re.ASCII)


class Refused(Exception):
    """A release that cannot be made, or must not be trusted."""


def build(folder: Path, epoch: int) -> None:
    """Source, wheel and bill of materials into an empty folder, with tools that are installed, offline."""
    if folder.exists() and any(folder.iterdir()):
        raise Refused(f"{folder} is not empty")
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": f"{epoch}"}
    _run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], env=environment)
    version, _ = sbom.project()
    (folder / f"antiphon-{version}.cdx.json").write_text(sbom.bill(epoch))
    sums = (f"{_digest(path)}  {path.name}\n" for path in sorted(folder.iterdir()))
    (folder / SUMS).write_text("".join(sums))


def sign(folder: Path, key: Path) -> None:
    """Sign the sums with an SSH key: a file, or the public half of one that an agent holds."""
    _run(["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(folder / SUMS)])


def verify(folder: Path, signers: Path) -> list[str]:
    """The names of the files of a release, all of them whole. Raises `Refused`.

    `signers`: lines of `antiphon namespaces="antiphon-release" ssh-ed25519 AAAA…`.
    """
    sums, signature = folder / SUMS, folder / SIGNATURE
    for path in (sums, signature, signers):
        if not path.is_file():
            raise Refused(f"{path} is missing")
    command = ["ssh-keygen", "-q", "-Y", "verify", "-f", str(signers), "-I", SIGNER, "-n", NAMESPACE]
    content = sums.read_bytes()
    _run([*command, "-s", str(signature)], input=content)
    listed = _listed(content.decode())
    there = {path.name for path in folder.iterdir()} - {SUMS, SIGNATURE}
    for name in sorted(there ^ listed.keys()):
        raise Refused(f"{name} is {'not listed' if name in there else 'missing'}")
    for name, digest in listed.items():
        if _digest(folder / name) != digest:
            raise Refused(f"{name} is not what was signed")
    return sorted(listed)


def _listed(text: str) -> dict[str, str]:
    matches = [_LINE.fullmatch(line) for line in text.splitlines()]
    listed = {match[2]: match[1] for match in matches if match}
    if not listed or len(listed) != len(matches):
        raise Refused(f"{SUMS} cannot be read")
    return listed


def commit_time(root: Path = ROOT) -> int:
    """When what is checked out was committed, in unix seconds. Raises `Refused` for anything else."""
    if changed := _run(["git", "-C", str(root), "status", "--porcelain"]).strip():
        raise Refused(f"there is more here than was committed: {changed.splitlines()[0].strip()}")
    return int(_run(["git", "-C", str(root), "log", "-1", "--format=%ct"]))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _run(command: Sequence[str], *, input: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
    if not shutil.which(command[0]):
        raise Refused(f"there is no {command[0]} here: install it (ssh-keygen is in openssh-client)")
    done = subprocess.run(
        command, input=input, env=env, cwd=ROOT, capture_output=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        said = (done.stderr + done.stdout).decode(errors="replace").strip().splitlines()
        raise Refused(f"{' '.join(command[:3])}: {said[-1] if said else done.returncode}")
    return done.stdout.decode()


def _build(folder: Path, key: Path) -> str:
    if not key.is_file():
        raise Refused(
            "a release is signed: give the file of an SSH key, as make release RELEASE_KEY=~/.ssh/id_ed25519"
        )
    build(folder, commit_time())
    sign(folder, key)
    return f"{folder} holds a release, signed."


def _verify(folder: Path, signers: Path) -> str:
    return f"{', '.join(verify(folder, signers))}: whole, and signed by one of {signers}."


COMMANDS: Mapping[str, Callable[[Path, Path], str]] = {"build": _build, "verify": _verify}


def main() -> int:
    name, folder, other = sys.argv[1:]
    try:
        print(COMMANDS[name](Path(folder).resolve(), Path(other).expanduser().resolve()))
    except Refused as problem:
        print(f"Refused: {problem}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
