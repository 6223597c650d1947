"""`python -m supply.sbom FILE`: a CycloneDX bill of materials of everything that is locked.

The same checkout gives the same bytes on any machine: it is made from committed files alone.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tomllib
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from supply import licences
from supply.locks import FOLDER, Locked, read_all

SCHEMA = SchemaVersion.V1_6
_LICENCES = LicenseFactory()
_SCOPES = {
    "serve": ComponentScope.REQUIRED,
    "ray": ComponentScope.OPTIONAL,
    "vllm": ComponentScope.OPTIONAL,
}
"""What a lock is for, the most needed first; all others are for building and testing."""


def made(
    locks: Mapping[str, Sequence[Locked]],
    known: Mapping[str, str],
    version: str,
    direct: Sequence[str],
    epoch: int,
) -> str:
    """The bill as JSON. `direct`: what the product itself asks for; `epoch`: its time, in unix seconds."""
    components = [_component(one, names, known) for one, names in _merged(locks)]
    product = Component(
        name="antiphon",
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref="antiphon",
        licenses=[_LICENCES.make_from_string("Apache-2.0")],
    )
    metadata = BomMetaData(component=product, timestamp=datetime.fromtimestamp(epoch, UTC))
    content = repr([sorted((name, sorted(lock)) for name, lock in locks.items()), version, epoch])
    serial = uuid.UUID(bytes=hashlib.sha256(content.encode()).digest()[:16], version=4)
    bom = Bom(components=components, metadata=metadata, serial_number=serial)
    bom.register_dependency(product, [one for one in components if one.name in direct])
    text = make_outputter(bom, OutputFormat.JSON, SCHEMA).output_as_string(indent=1)
    if problem := JsonStrictValidator(SCHEMA).validate_str(text):
        raise ValueError(f"what was made is no bill of materials: {problem}")
    return text + "\n"


def _merged(locks: Mapping[str, Sequence[Locked]]) -> list[tuple[Locked, list[str]]]:
    """Every package once, with the locks that hold it and the hashes of all of them."""
    hashes, names = defaultdict(set), defaultdict(set)
    for name, lock in locks.items():
        for one in lock:
            hashes[one[:2]].update(one.hashes)
            names[one[:2]].add(name)
    return [(Locked(*key, tuple(sorted(hashes[key]))), sorted(names[key])) for key in sorted(hashes)]


def _component(one: Locked, names: Sequence[str], known: Mapping[str, str]) -> Component:
    licence = known.get(one.name)
    purl = PackageURL("pypi", None, one.name, str(one.version))
    return Component(
        name=one.name,
        version=str(one.version),
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        purl=purl,
        scope=next((_SCOPES[name] for name in _SCOPES if name in names), ComponentScope.EXCLUDED),
        # Of each file that may be installed: which one it is depends on the machine.
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in one.hashes],
        licenses=[_LICENCES.make_from_string(licence)] if licence else [],
        properties=[Property(name="antiphon:lock", value=name) for name in names],
    )


def project(root: Path = FOLDER.parent) -> tuple[str, list[str]]:
    """The version, and the names of what the project asks for."""
    text = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    asked = [
        *text["dependencies"],
        *(one for extra in text["optional-dependencies"].values() for one in extra),
    ]
    code = (root / "src/antiphon/__init__.py").read_text()
    version = code.split("__version__ = ")[1].splitlines()[0].strip("\"'")
    return version, [canonicalize_name(Requirement(one).name) for one in asked]


def bill(epoch: int) -> str:
    """That of this checkout."""
    version, direct = project()
    return made(read_all(), licences.read(), version, direct, epoch)


def main() -> int:
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(bill(int(os.environ["SOURCE_DATE_EPOCH"])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
