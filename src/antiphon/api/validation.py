"""From untrusted input to a struct of `wire`, or to an error that names the parameter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from antiphon.errors import InvalidRequest, UnknownParameter, UnsupportedParameter
from antiphon.wire.fields import Field, Treatment

T = TypeVar("T")

_AT = re.compile(r" - at (?:`key` in )?`\$\.?(?P<path>[^`]*)`$")
_NAMED = re.compile(r"(?P<kind>unknown|missing required) field `(?P<name>[^`]*)`")
_WANTED = re.compile(r"Expected `(?P<wanted>[^`]*)`(?:, got `(?P<got>[^`]*)`)?(?P<bound>.*)")
_TYPES = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "array": "an array",
}


def convert(value: Any, shape: type[T], *, strict: bool = True) -> T:
    """`value` (parsed JSON, or form fields with `strict=False`) as `shape`. Raises `InvalidRequest`."""
    if not isinstance(value, dict):
        raise InvalidRequest("The request's body must be a JSON object.")
    try:
        return msgspec.convert(value, shape, strict=strict)
    except msgspec.ValidationError as problem:
        raise explain(str(problem)) from None


def explain(text: str) -> InvalidRequest:
    """A validation error of msgspec in the API's words, naming the parameter as `messages[0].role`."""
    at = _AT.search(text)
    path = re.sub(r"\[\.\.\.\]", "", at["path"]) if at else ""
    text = text[: at.start()] if at else text
    if named := _NAMED.search(text):
        param = f"{path}.{named['name']}" if path else named["name"]
        if named["kind"] == "unknown":
            return UnknownParameter(f"Unknown parameter: '{param[:200]}'.", param=param[:200])
        return InvalidRequest(
            f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
        )
    if (wanted := _WANTED.match(text)) and wanted["got"]:
        kinds = " or ".join(_TYPES.get(k, k) for k in wanted["wanted"].split(" | ") if k != "null")
        return InvalidRequest(
            f"Invalid type for '{path}': expected {kinds}.", param=path or None, code="invalid_type"
        )
    if wanted:
        text = f"expected {_TYPES.get(wanted['wanted'], wanted['wanted'])}{wanted['bound']}".replace("`", "'")
    return InvalidRequest(f"Invalid value for '{path}': {text}.", param=path or None, code="invalid_value")


def refuse_unserved(request: msgspec.Struct, table: Mapping[str, Field], where: str = "") -> None:
    """Raise `UnsupportedParameter` for a field whose value asks for what `table` says is not served."""
    for name in request.__struct_fields__:
        value = getattr(request, name)
        if value is None or (field := table[name]).treatment in (Treatment.HONOURED, Treatment.HINT):
            continue
        if value not in field.accepted:
            raise UnsupportedParameter(
                f"'{where}{name}' with this value is not supported by this server.",
                param=f"{where}{name}",
            )
