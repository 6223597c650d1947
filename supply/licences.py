"""`python -m supply.licences`: writes down which licence each locked package has, where its metadata say so.

The file is committed, so that a bill of materials does not depend on what is installed where it is made.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path

from license_expression import ExpressionError, Licensing, get_spdx_licensing
from packaging.utils import canonicalize_name

from supply.locks import FOLDER, read_all

FILE = FOLDER / "licences.toml"
_HEAD = (
    "# SPDX licence expressions of locked packages, as their own metadata say: made by `make licences`.\n\n"
)
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
"""What trove classifiers mean. "BSD License" is one of several: it is not known which."""


def read(path: Path = FILE) -> dict[str, str]:
    """The licences by the names of packages."""
    found: dict[str, str] = tomllib.loads(path.read_text())
    return found


def licence(one: Distribution) -> str | None:
    """An SPDX expression, where the package's metadata are sure of one."""
    texts = [one.metadata.get("License-Expression"), one.metadata.get("License")]
    for text in filter(None, texts):
        if len(text) < 100 and (known := spdx(text)):
            return known
    classifiers = one.metadata.get_all("Classifier") or []
    named = {text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License :: ")} - {
        "OSI Approved"
    }
    meant = {_CLASSIFIERS.get(name, "") for name in named}
    return meant.pop() or None if len(meant) == 1 else None


def spdx(text: str) -> str | None:
    """The text as an SPDX expression, if it is one."""
    try:
        parsed = _known().parse(text, validate=True)
    except ExpressionError:
        return None
    return None if parsed is None else str(parsed)


@cache
def _known() -> Licensing:
    return get_spdx_licensing()


def gathered(names: Iterable[str], there: Iterable[Distribution], before: dict[str, str]) -> dict[str, str]:
    """What is known of these packages: from what is installed, else from before."""
    found = {canonicalize_name(one.name): licence(one) for one in there}
    known = {name: found.get(name) or before.get(name) for name in names}
    return {name: text for name, text in sorted(known.items()) if text}


def main() -> int:
    names = {one.name for lock in read_all().values() for one in lock}
    known = gathered(names, distributions(path=sys.argv[1:] or sys.path), read() if FILE.exists() else {})
    lines = (f'{name} = "{re.sub("[^ -!#-~]", "", text)}"\n' for name, text in known.items())
    FILE.write_text(_HEAD + "".join(lines))
    print(f"{len(known)} of {len(names)} licences are known.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
