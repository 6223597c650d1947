"""From a JSON schema to the grammar of the values that are valid under it.

A grammar may give less than its schema allows: properties in the order in which they are declared and no
others, numbers of bounded length, one way to write each value. What it gives is always valid, but for what
cannot be said in a grammar, which is refused if the schema is to be held to strictly, and else left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import count, islice
from typing import Any

from antiphon.grammar import formats, keywords, numbers, strings
from antiphon.grammar.cost import MOST_COST, cost
from antiphon.grammar.merge import ANNOTATIONS, Schema, both, merged
from antiphon.grammar.nodes import EMPTY, Node, Repeat, Rule, Text, choice, optional, sequence
from antiphon.grammar.patterns import Patterns
from antiphon.grammar.problems import InvalidSchema, Unsupported
from antiphon.grammar.rules import Rules

DEEPEST = 32
MOST_PARTS = 10_000
"""Parts that are read in all: a reference with words beside it is read anew each time."""
_CHARACTERS_OF_A_PART = 4
"""So many characters of a pattern take as long to read as a part."""
_PARTS_OF_BOUNDS = 20
"""So many parts are read in the time that a number's bounds take."""
_COMMA, _COLON = Text(", "), Text(": ")
_UNSAID = frozenset(
    "not if then else dependentRequired dependentSchemas patternProperties propertyNames contains "
    "minContains maxContains unevaluatedItems unevaluatedProperties $dynamicRef $anchor $recursiveRef".split()
)


class Schemas:
    """Schemas of one grammar: `add` each, then take `rules` once `finish` has found them sound."""

    def __init__(self) -> None:
        self.rules = Rules({"json": _anything(), **_ANYTHING})
        self._patterns = Patterns(self.rules)
        self._parts = count(1)
        self._counted, self._cost = len(self.rules), 0.0
        """Rules that have been paid for, and what they cost."""

    def add(self, schema: Any, *, strict: bool) -> Rule:
        """The rule of the values that are valid under a schema. Raises `InvalidSchema`.

        `strict` asks of the schema what OpenAI asks of a strict one, and refuses what cannot be held to.
        """
        rule = _Reader(schema, self.rules, self._patterns, self._parts, strict).whole()
        added = islice(self.rules.values(), self._counted, None)
        self._cost += sum(cost(node, self.rules) for node in added)
        self._counted = len(self.rules)
        if self._cost + self._patterns.surcharge > MOST_COST:
            raise InvalidSchema("it would take an engine too long to read")
        return rule


class _Reader:
    """Reads one schema. Every method gives the grammar of a value, and adds the rules that it needs."""

    def __init__(
        self, root: Any, rules: Rules, patterns: Patterns, parts: Iterator[int], strict: bool
    ) -> None:
        self._root, self._rules, self._patterns, self._parts = root, rules, patterns, parts
        self._strict = strict
        self._referred: dict[str, Rule] = {}
        self._depth = 0

    def whole(self) -> Rule:
        return self._rules.add(self._value(self._root))

    def _value(self, schema: Any) -> Node:
        self._depth += 1
        try:
            if self._depth > DEEPEST:
                raise InvalidSchema(f"it is nested more than {DEEPEST} deep")
            self._spend()
            if schema is True:
                return JSON
            if schema is False:
                raise InvalidSchema("it has a part that no value fits")
            if not isinstance(schema, dict):
                raise InvalidSchema("a part of it is neither an object nor true or false")
            return self._of(schema)
        finally:
            self._depth -= 1

    def _spend(self, parts: int = 1) -> None:
        """What is read is paid for before: a schema that takes long is refused early."""
        if max(islice(self._parts, parts)) > MOST_PARTS:
            raise InvalidSchema("it is too large")

    def _of(self, schema: Schema) -> Node:
        self._refuse_unsaid(schema)
        said = {key: value for key, value in schema.items() if key not in ANNOTATIONS}
        if "$ref" in said:
            reference = said.pop("$ref")
            if said:
                return self._value(both(self._found(reference), said))
            return self._reference(reference)
        if "allOf" in said:
            parts = keywords.schemas(said.pop("allOf"), "allOf")
            for part in parts:
                self._spend()
                said = merged(said, self._resolved(part))
            return self._value(said)
        for key in ("anyOf", "oneOf"):
            if key in said:
                options = keywords.schemas(said.pop(key), key)
                return choice(*(self._value(self._also(said, option)) for option in options))
        if said.pop("nullable", False) is True:
            return choice(self._typed(said), Text("null"))
        return self._typed(said)

    def _also(self, said: Schema, option: Any) -> Any:
        """An option, with what is said beside it."""
        return merged(said, self._resolved(option)) if said else option

    def _refuse_unsaid(self, schema: Schema) -> None:
        if self._strict and (found := next((key for key in schema if key in _UNSAID), None)):
            raise Unsupported(f"'{found}' cannot be held to strictly")

    def _unsaid(self, problem: str) -> None:
        """What is left out, unless the schema is to be held to strictly."""
        if self._strict:
            raise Unsupported(problem)

    # --- references ----------------------------------------------------------------------------------------

    def _reference(self, reference: Any) -> Rule:
        found = self._found(reference)
        if reference not in self._referred:
            rule = self._referred[reference] = self._rules.add(EMPTY)  # Its place: it may refer to itself.
            self._rules[rule.name] = self._value(found)
        return self._referred[reference]

    def _found(self, reference: Any) -> Any:
        """The part of the schema that a reference like `#/$defs/node` points at."""
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise InvalidSchema("a '$ref' points outside of the schema")
        found = self._root
        for step in reference.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            else:
                raise InvalidSchema("a '$ref' points at nothing")
        return found

    def _resolved(self, schema: Any) -> Schema:
        """The schema itself, where one refers to it alone. True says nothing."""
        for _ in range(DEEPEST):
            if schema is True:
                return {}
            if not isinstance(schema, dict):
                raise InvalidSchema("a part of it is not an object")
            if "$ref" not in schema:
                return schema
            schema = both(self._found(schema["$ref"]), {k: v for k, v in schema.items() if k != "$ref"})
        raise InvalidSchema("a '$ref' leads back to itself")

    # --- types ---------------------------------------------------------------------------------------------

    def _typed(self, schema: Schema) -> Node:
        if "const" in schema:
            rest = {key: value for key, value in schema.items() if key != "const"}
            schema = merged(rest, {"enum": [schema["const"]]})
        types = keywords.types(schema)
        if "enum" in schema:
            if beside := keywords.UNCHECKED & schema.keys():
                self._unsaid(f"'{min(beside)}' stands beside an 'enum'")
            return keywords.enumerated(schema, types if "type" in schema else ())
        if not types:
            return JSON
        return choice(*(self._of_type(name, schema) for name in types))

    def _of_type(self, name: str, schema: Schema) -> Node:
        match name:
            case "null":
                return Text("null")
            case "boolean":
                return choice(Text("true"), Text("false"))
            case "integer" | "number":
                return self._number(schema, whole=name == "integer")
            case "string":
                return self._string(schema)
            case "array":
                return self._array(schema)
            case _:
                return self._object(schema)

    def _number(self, schema: Schema, *, whole: bool) -> Node:
        low, high, places = self._bounds(schema, whole)
        if low is None and high is None and places is None:
            return Rule("integer") if whole else Rule("number")
        self._spend(_PARTS_OF_BOUNDS)
        edge = Decimal(10) ** numbers.MOST_DIGITS - 1
        low, high = max(-edge, -edge if low is None else low), min(edge, edge if high is None else high)
        for tried in [0] if whole else [places] if places is not None else (2, 6, numbers.MOST_PLACES):
            if (found := numbers.decimals(low, high, tried)) is not None:
                return self._rules.compact(found)
        raise InvalidSchema(f"no number of up to {numbers.MOST_DIGITS} digits lies between its bounds")

    def _bounds(self, schema: Schema, whole: bool) -> tuple[Decimal | None, Decimal | None, int | None]:
        """The least and the largest number, and how many decimal places it has if that is said."""
        values = {key: keywords.decimal(schema, key) for key in keywords.OF_TYPE["number"]}
        step = values["multipleOf"]
        places = None
        if step is not None:
            sign, digits, exponent = step.as_tuple()
            if (
                sign
                or digits != (1,)
                or not isinstance(exponent, int)
                or not -numbers.MOST_PLACES <= exponent <= 0
            ):
                self._unsaid("'multipleOf' can be held to for 1, 0.1, 0.01 and so on alone")
            else:
                places = -exponent
        smallest = (
            Decimal(1) if whole else Decimal(10) ** -(numbers.MOST_PLACES if places is None else places)
        )
        lows = [values["minimum"], keywords.moved(values["exclusiveMinimum"], smallest)]
        highs = [values["maximum"], keywords.moved(values["exclusiveMaximum"], -smallest)]
        return (
            max((value for value in lows if value is not None), default=None),
            min((value for value in highs if value is not None), default=None),
            places,
        )

    def _string(self, schema: Schema) -> Node:
        pattern, shape = schema.get("pattern"), schema.get("format")
        least, most = keywords.lengths(schema, "minLength", "maxLength")
        if pattern is None and isinstance(shape, str):
            pattern = formats.PATTERNS.get(shape)
        if pattern is None:
            if not least and most is None:
                return STRING
            inside = self._rules.repeated(Rule("char"), least, most)
            return self._rules.shared(sequence(strings.QUOTE, inside, strings.QUOTE))
        if not isinstance(pattern, str):
            raise InvalidSchema("a 'pattern' is not a string")
        if least or most is not None:
            self._unsaid("a string can have a 'pattern' or a length, not both")
        if pattern not in self._patterns:
            self._spend(1 + len(pattern) // _CHARACTERS_OF_A_PART)
        try:
            return self._patterns.rule(pattern)
        except Unsupported as problem:
            self._unsaid(f"a 'pattern' cannot be held to: {problem}")
            return STRING

    # --- arrays and objects --------------------------------------------------------------------------------

    def _array(self, schema: Schema) -> Node:
        least, most = keywords.lengths(schema, "minItems", "maxItems")
        first, items = schema.get("prefixItems", []), schema.get("items", True)
        if isinstance(items, list):  # as before 2020
            first, items = items, schema.get("additionalItems", True)
        if not isinstance(first, list):
            raise InvalidSchema("'prefixItems' is not a list")
        if schema.get("uniqueItems") is True and (most is None or most > 1):
            self._unsaid("'uniqueItems' cannot be held to strictly")
        if most is not None and most < max(least, len(first)):
            if most < least:
                raise InvalidSchema("no list has that many items")
            first = first[:most]
        heads = [self._value(part) for part in first]
        least, most = max(0, least - len(heads)), None if most is None else most - len(heads)
        if heads and "items" not in schema and "additionalItems" not in schema and not least:
            most = 0
        if items is False and least:
            raise InvalidSchema("no list has that many items")
        if items is False or most == 0:
            return sequence(Text("["), _joined(heads), Text("]"))
        item = self._rules.add(self._value(items))
        if heads:
            more = self._rules.repeated(sequence(_COMMA, item), least, most)
            return sequence(Text("["), _joined(heads), more, Text("]"))
        return sequence(Text("["), self._listed(item, least, most), Text("]"))

    def _object(self, schema: Schema) -> Node:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if not isinstance(properties, dict) or not keywords.names(required):
            raise InvalidSchema("'properties' or 'required' is not what it should be")
        if self._strict:
            self._check_strict(schema, properties, required)
        more = schema.get("additionalProperties", True)
        undeclared = [name for name in required if name not in properties]
        if undeclared and more is False:
            raise InvalidSchema("a property is required that there cannot be")
        properties = {**properties, **{name: more for name in undeclared}}
        if properties or more is False:
            needed = set(required)
            pairs = [(self._pair(name, part), name in needed) for name, part in properties.items()]
            return sequence(Text("{"), self._members(pairs), Text("}"))
        least, most = keywords.lengths(schema, "minProperties", "maxProperties")
        if least > 1:
            self._unsaid("'minProperties' cannot be held to strictly")
        pair = self._rules.add(sequence(STRING, _COLON, self._value(more)))
        return sequence(Text("{"), self._listed(pair, least, most), Text("}"))

    def _listed(self, item: Rule, least: int, most: int | None) -> Node:
        """Items with commas between them."""
        if most == 0:
            return EMPTY
        more = self._rules.repeated(
            sequence(_COMMA, item), max(0, least - 1), None if most is None else most - 1
        )
        several = sequence(item, more)
        return several if least else optional(several)

    @staticmethod
    def _check_strict(schema: Schema, properties: Schema, required: Sequence[str]) -> None:
        """What OpenAI asks of each object of a strict schema."""
        if schema.get("additionalProperties") is not False:
            raise InvalidSchema("'additionalProperties' is required to be supplied and to be false")
        if missing := properties.keys() - set(required):
            raise InvalidSchema(
                f"'required' must include every key of 'properties'; {len(missing)} are missing"
            )

    def _pair(self, name: str, schema: Any) -> Rule:
        return self._rules.add(sequence(strings.literal(name), _COLON, self._value(schema)))

    def _members(self, pairs: Sequence[tuple[Rule, bool]]) -> Node:
        """Pairs in their order with commas between them, those that are not required only perhaps."""
        begins: list[Node] = []
        after: Node = EMPTY
        for pair, needed in reversed(pairs):
            if needed:  # none of those after it comes first
                begins.clear()
            begins.append(sequence(pair, after))
            follows = sequence(_COMMA, pair, after)
            after = self._rules.add(follows if needed else choice(follows, after))
        first = choice(*reversed(begins))
        return first if any(needed for _, needed in pairs) or not pairs else optional(self._rules.add(first))


def _anything() -> Node:
    return choice(
        *map(Rule, ("json-object", "json-array", "string", "number")), *map(Text, ("true", "false", "null"))
    )


_PAIR = sequence(Rule("string"), _COLON, Rule("json"))
JSON, STRING = Rule("json"), Rule("string")
_ANYTHING: dict[str, Node] = {
    "json-object": sequence(Text("{"), optional(sequence(_PAIR, Repeat(sequence(_COMMA, _PAIR)))), Text("}")),
    "json-array": sequence(Text("["), optional(sequence(JSON, Repeat(sequence(_COMMA, JSON)))), Text("]")),
    "string": sequence(strings.QUOTE, Repeat(Rule("char")), strings.QUOTE),
    "char": strings.CHARACTER,
    "integer": numbers.INTEGER,
    "number": numbers.NUMBER,
}


def _joined(parts: Sequence[Node]) -> Node:
    return sequence(*[piece for part in parts for piece in (_COMMA, part)][1:])
