"""JSON Schemas of anybody's, printed as TypeScript: what they say, and that tsc takes whatever the schema takes."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.document import NoContractError, document_of
from contracts.rendering import module_of
from contracts.typescript import declaration

TSC = ("tsc", "--strict", "--noUncheckedIndexedAccess", "--noEmit", "--target", "es2022", "--lib", "es2022")

NODE = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}},
    "required": ["value"],
}

WORDS: list[tuple[Any, str]] = [
    ({}, "unknown"),
    ({"description": "Anything.", "minLength": 3}, "unknown"),
    ({"type": "string", "format": "date-time"}, "string"),
    ({"type": ["integer", "number", "null"]}, "number | null"),
    ({"const": 'a\n"b\u2028'}, r'"a\n\"b\u2028"'),
    ({"enum": ["open", 1, None, True, 1.5]}, '"open" | 1 | null | true | 1.5'),
    ({"enum": ["open", 1, None, True, 1.5], "type": ["integer", "null"]}, "1 | null"),
    ({"const": {"a": [1, {}]}}, "{ a: [1, { [k: string]: never }] }"),
    ({"type": "array"}, "Array<unknown>"),
    ({"type": "array", "items": {"type": ["string", "null"]}}, "Array<string | null>"),
    ({"type": "array", "items": False}, "Array<never>"),
    (
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": ["number", "null"]}], "minItems": 1},
        "[item1: string, item2?: number | null, ...more: (unknown)[]]",
    ),
    ({"type": "array", "prefixItems": [{"const": 1}], "items": False, "minItems": 1}, "[item1: 1]"),
    ({"type": "array", "prefixItems": [{"const": 1}], "maxItems": 1}, "[item1?: 1]"),
    (
        {"items": {"type": "null"}},
        "null | boolean | number | string | Array<null> | {\n  [k: string]: unknown;\n}",
    ),
    ({"type": "object", "additionalProperties": False}, "{ [k: string]: never }"),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, "{\n  [k: string]: number;\n}"),
    (
        {
            "type": "object",
            "properties": {"a-b": {"type": "null"}, "c": False},
            "additionalProperties": False,
        },
        '{\n  "a-b"?: null;\n  c?: never;\n}',
    ),
    (
        {"type": "object", "required": ["a", "a", "b"], "properties": {"b": {"type": "string"}}},
        "{\n  b: string;\n  a: unknown;\n  [k: string]: unknown;\n}",
    ),
    (
        {
            "type": "object",
            "properties": {"n": {"type": "integer"}, "s": {"type": "string"}},
            "required": ["s"],
            "patternProperties": {"^x-": {"type": "boolean"}},
            "additionalProperties": {"type": "null"},
        },
        "{\n  n?: number;\n  s: string;\n  [k: string]: boolean | null | number | string | undefined;\n}",
    ),
    ({"anyOf": [{"type": "string"}, {"type": "null"}, {"type": "string"}]}, "string | null"),
    ({"anyOf": [{"type": "string"}, {}]}, "unknown"),
    ({"oneOf": [False, {"const": 1}]}, "1"),
    ({"type": "string", "anyOf": [{"const": "a"}, {"const": "b"}]}, 'string & ("a" | "b")'),
    ({"allOf": [{"type": "string"}, {"minLength": 1}, True]}, "string"),
    ({"allOf": [{"type": "string"}, False]}, "never"),
    ({"not": {"type": "string"}, "if": True, "then": {"type": "null"}}, "unknown"),
]


@pytest.mark.parametrize(("schema", "said"), WORDS)
def test_what_a_schema_is_as_a_type(schema: Any, said: str) -> None:
    whole = declaration(schema, "T")
    assert whole.endswith(f"export type T = {said};\n"), whole


def test_what_is_referred_to_has_a_name_of_its_own() -> None:
    schema = {"$ref": "#/$defs/node", "$defs": {"node": NODE}}
    assert declaration(schema, "T") == (
        "export type T = T_Node;\n\n"
        "export type T_Node = {\n  value: number;\n  next?: T_Node;\n  [k: string]: unknown;\n};\n"
    )


def test_what_nothing_refers_to_is_left_out() -> None:
    schema = {
        "properties": {
            "one": {"$ref": "#/$defs/a%20b"},
            "two": {"$ref": "#/$defs/a~1b"},
            "three": {"$ref": "#/$defs/%C3%A9"},
        },
        "$defs": {
            "a b": {"type": "null"},
            "a/b": {"type": "string"},
            "\u00e9": True,
            "unused": {"type": "object"},
        },
        "type": "object",
    }
    printed = declaration(schema, "T")
    for said in (
        "one?: T_A20b;",
        "two?: T_A1b;",
        "three?: T_C3A9;",
        "type T_A20b = null;",
        "type T_C3A9 = unknown;",
    ):
        assert said in printed
    assert printed.count("export type") == 4


def test_what_it_says_of_itself_is_a_comment() -> None:
    schema = {
        "type": "object",
        "description": "An order.\nSee */ there.",
        "properties": {"id": {"type": "string", "description": "Its number.", "deprecated": True}},
        "required": ["id"],
    }
    printed = declaration(schema, "T")
    assert printed.startswith("/** An order. See * / there. */\nexport type T = {\n")
    assert "  /** Its number. @deprecated */\n  id: string;\n" in printed


def test_what_is_nested_does_not_double_at_each_depth() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(60):
        schema = {"type": "object", "properties": {"inner": schema}, "additionalProperties": {"type": "null"}}
    assert len(declaration(schema, "T")) < 20_000


# By tsc.

ORDER = {
    "type": "object",
    "description": "An order was placed.",
    "properties": {
        "id": {"type": "string"},
        "state": {"enum": ["open", "closed"]},
        "note": {"type": ["string", "null"]},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "paid": {"oneOf": [{"$ref": "#/$defs/cash"}, {"$ref": "#/$defs/card"}]},
        "tags": {"type": "object", "additionalProperties": {"type": "string"}},
        "point": {
            "type": "array",
            "prefixItems": [{"type": "number"}, {"type": "number"}],
            "minItems": 2,
            "items": False,
        },
    },
    "required": ["id", "state"],
    "$defs": {
        "line": {
            "type": "object",
            "properties": {
                "sku": {"type": "string"},
                "parts": {"type": "array", "items": {"$ref": "#/$defs/line"}},
            },
            "required": ["sku"],
            "additionalProperties": False,
        },
        "cash": {"type": "object", "properties": {"by": {"const": "cash"}}, "required": ["by"]},
        "card": {
            "type": "object",
            "properties": {"by": {"const": "card"}, "last4": {"type": "string"}},
            "required": ["by", "last4"],
        },
    },
}

USE = """\
import type { LettaCloudEvent, ComExampleOrderPlacedEvent as Order } from "./events";

export function about(event: LettaCloudEvent): string {
  if (event.type === "com.example.order.placed") {
    const { paid, lines, tags, point, note } = event.data;
    const way: string = paid === undefined || paid.by === "cash" ? "cash" : paid.last4;
    const [x, y]: [number, number] = point ?? [0, 0];
    const part: string | undefined = lines?.[0]?.parts?.[0]?.sku;
    const tag: string | undefined = tags?.["a"];
    return [way, x + y, part, tag, note === null ? "" : note?.trim()].join();
  }
  return event.type;
}

export const orders: Order[] = [
  { id: "1", state: "open", new: 1 },
  { id: "2", state: "closed", note: null, lines: [{ sku: "a", parts: [{ sku: "b" }] }] },
  { id: "2", state: "closed", paid: { by: "card", last4: "1" }, tags: { a: "b" }, point: [1, 2] },
  // @ts-expect-error it lacks its state
  { id: "3" },
  // @ts-expect-error that is no state
  { id: "4", state: "lost" },
  // @ts-expect-error a card has its last four digits
  { id: "5", state: "open", paid: { by: "card" } },
  // @ts-expect-error a line is closed
  { id: "6", state: "open", lines: [{ sku: "a", new: 1 }] },
  // @ts-expect-error a point has two numbers
  { id: "7", state: "open", point: [1] },
];
"""


def test_a_contract_of_one_s_own_is_used_as_what_it_promises(tools: Any, tmp_path: Path) -> None:
    asked = [("com.letta.agent.run.completed", 1), ("com.example.order.placed", 2)]
    text = module_of("typescript", asked, {asked[1]: ORDER})
    (tmp_path / "events.ts").write_text(text)
    (tmp_path / "use.ts").write_text(USE)
    tools.run(*TSC, "use.ts", folder=tmp_path)


def test_a_newer_version_of_a_letta_event_is_told_apart_by_its_event_type() -> None:
    key = ("com.letta.agent.run.completed", 7)
    told = {
        "type": "object",
        "properties": {"event_type": {"const": "agent.run.completed"}},
        "required": ["event_type"],
    }
    for schema, is_one in ((told, True), (told | {"required": []}, False), ({"type": "object"}, False)):
        text = module_of("typescript", [key], {key: schema})
        assert ("export type LettaEvent =\n" in text or "export type LettaEvent = \n" in text) is is_one, text


CIRCLES = """\
import type { T } from "./events";
export const lists: T = [null, [null, [], [null]], [[null]], "a"];
export const members: T = { a: [{ a: [], b: false }], b: true };
// @ts-expect-error neither is there
export const wrong: T = { a: [false], b: 1 };
"""


def test_what_refers_to_itself_by_a_member_or_an_item_compiles(tools: Any, tmp_path: Path) -> None:
    inner = {"type": "array", "prefixItems": [{"$ref": "#"}]}
    schema = {
        "anyOf": [{"$ref": "#/$defs/list"}, {"$ref": "#/$defs/members"}, {"type": "null"}],
        "$defs": {
            "list": {"type": "array", "prefixItems": [{"type": "null"}, {"$ref": "#"}, inner]},
            "members": {
                "type": "object",
                "properties": {"a": {"type": "array", "items": {"$ref": "#/$defs/members"}}},
                "required": ["b"],
                "patternProperties": {"^b": {"type": "boolean"}},
                "additionalProperties": {"$ref": "#"},
            },
        },
    }
    (tmp_path / "events.ts").write_text(declaration(document_of(schema), "T"))
    (tmp_path / "use.ts").write_text(CIRCLES)
    tools.run(*TSC, "use.ts", folder=tmp_path)


NAMES = ("a", "b", "c")
SCALARS: list[Any] = [None, False, True, 0, 1, -1, 1.5, "", "a", "ab"]
TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
scalars = st.sampled_from(SCALARS)
types = st.sampled_from(TYPES) | st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True)


def some(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


leaves = st.one_of(
    st.booleans(),
    some(type=types, minimum=st.integers(0, 2), maxLength=st.integers(0, 2)),
    some(type=types, enum=st.lists(scalars | st.just([]) | st.just({"a": 1}), min_size=1, max_size=4)),
    some(const=scalars | st.just(["a", 1]) | st.just({"a": None})),
    st.sampled_from(["#", "#/$defs/d", "#/$defs/e", "#/$defs/f", "#/properties/a"]).map(
        lambda to: {"$ref": to}
    ),
)


def larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    few = st.lists(inner, min_size=1, max_size=3)
    required = st.lists(st.sampled_from(NAMES), max_size=2, unique=True)
    members = st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    return st.one_of(
        some(
            type=st.just("object"),
            properties=members,
            required=required,
            additionalProperties=inner,
            patternProperties=st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=1),
        ),
        some(properties=members, required=required, prefixItems=few, type=types),
        some(
            type=st.just("array"),
            items=inner,
            prefixItems=few,
            minItems=st.integers(0, 3),
            maxItems=st.integers(0, 3),
        ),
        some(anyOf=few, type=types, properties=members),
        some(oneOf=few, allOf=few),
        some(**{"not": inner, "if": inner, "then": inner, "else": inner, "contains": inner}),
    )


schemas = st.recursive(leaves, larger, max_leaves=8)
roots = st.tuples(schemas, schemas, schemas, schemas).map(
    lambda four: (
        (four[0] if isinstance(four[0], dict) else {}) | {"$defs": dict(zip("def", four[1:], strict=True))}
    )
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=6,
)


def drawn(count: int) -> list[tuple[Any, list[Any]]]:
    """Schemas, always the same, and of each the values that it accepts among those that are tried."""
    found: list[tuple[Any, list[Any]]] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(roots, st.lists(values, min_size=10, max_size=20))
    def draw(schema: Any, tried: list[Any]) -> None:
        try:
            document = document_of(schema)
        except NoContractError:
            return  # it refers to nowhere, or to nothing but itself
        validator = jsonschema_rs.Draft202012Validator(document)
        found.append((document, [value for value in tried if validator.is_valid(value)]))

    draw()
    return found


def test_whatever_a_schema_accepts_its_type_accepts(tools: Any, tmp_path: Path) -> None:
    lines, count = [], 0
    for number, (schema, accepted) in enumerate(drawn(300)):
        lines.append(declaration(schema, f"T{number}"))
        for index, value in enumerate(accepted):
            count += 1
            lines.append(f"export const x{number}_{index}: T{number} = {json.dumps(value)};\n")
    assert count > 1_000
    (tmp_path / "all.ts").write_text("".join(lines))
    try:
        tools.run(*TSC, "all.ts", folder=tmp_path)
    except tools.ToolError as error:
        pytest.fail(f"{error}\n{(tmp_path / 'all.ts').read_text()[:20_000]}")
