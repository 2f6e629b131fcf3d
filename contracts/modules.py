"""One module of the types of many events: their texts put together, with the unions that a consumer tells apart."""

import ast
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_ANY_VALUE: Final = "its contract is JSON Schema alone, and allows more than objects."
_ABOUT: Final = "Events as letta-gateway delivers them; printed from their contracts."


@dataclass(frozen=True, slots=True)
class Part:
    """An event in a module.

    Attributes:
        event_type: The full type.
        name: Of its payload's type.
        text: The text that defines that name; None: it has none in this language, and is an open object.
        tells: Whether the payload says of itself what it is, in `event_type`.
        any_value: Without a text: whether it may be something else than an object.
    """

    event_type: str
    name: str
    text: str | None
    tells: bool = True
    any_value: bool = False


def typescript_module(parts: Sequence[Part]) -> str:
    """A module without imports: the payloads, their union, and the CloudEvents around them."""
    payloads = [part.name for part in parts if part.text is not None and part.tells]
    events = [f'CloudEvent<"{part.event_type}", {part.name}>' for part in parts]
    thin = [f'ThinCloudEvent<"{part.event_type}">' for part in parts]
    return "\n".join(
        [
            f"// {_ABOUT}",
            "",
            *(_typescript_text(part) for part in parts),
            *_typescript_payloads(payloads),
            _CLOUD_EVENT,
            "/** What a webhook in structured mode has as its body, told apart by `type`. */",
            f"export type LettaCloudEvent = {_typescript_union(events)};",
            "",
            "/** What it has instead with `payload: thin`: GET `dataref` for the data, which `LettaCloudEvent` has. */",
            f"export type LettaThinCloudEvent = {_typescript_union(thin)};",
            "",
        ]
    )


def _typescript_text(part: Part) -> str:
    if part.text is not None:
        return part.text.strip() + "\n"
    if part.any_value:
        return f"/** {part.event_type}: {_ANY_VALUE} */\nexport type {part.name} = unknown;\n"
    return (
        f"/** {part.event_type}: its contract is JSON Schema alone. */\n"
        f"export interface {part.name} {{\n  [k: string]: unknown;\n}}\n"
    )


def _typescript_payloads(names: Sequence[str]) -> Sequence[str]:
    """The union of those that say what they are; where none does, it would be a type that nothing is of."""
    if not names:
        return ()
    return (
        "/** What a webhook in binary mode has as its body, told apart by `event_type`. */",
        f"export type LettaEvent = {_typescript_union(names)};",
        "",
    )


def _typescript_union(names: Sequence[str]) -> str:
    return "".join(f"\n  | {name}" for name in names) or "never"


_CLOUD_EVENT: Final = """\
/** What a CloudEvent 1.0 (JSON format) has beside its data, with its extensions. */
export interface CloudEventAttributes<Type extends string> {
  specversion: "1.0";
  /** Identifies the event together with `source`. */
  id: string;
  source: string;
  type: Type;
  /** The id of the step, run, message, job or tool. */
  subject?: string;
  /** When it happened (RFC 3339). */
  time?: string;
  datacontenttype?: string;
  /** The address of the contract that `data` keeps. */
  dataschema?: string;
  /** What order is kept by: the agent, else the job. */
  partitionkey?: string;
  /** The run that it belongs to. */
  correlationid?: string;
  /** The id of the event that led to it. */
  causationid?: string;
  /** The place within its source, 20 digits, compared as a string. */
  sequence?: string;
  traceparent?: string;
  tracestate?: string;
  [extension: string]: unknown;
}

/** A CloudEvent: `data` is what its `type` says. */
export interface CloudEvent<Type extends string, Data> extends CloudEventAttributes<Type> {
  data: Data;
}

/** A CloudEvent of a subscription with `payload: thin`, whose data are elsewhere. */
export interface ThinCloudEvent<Type extends string> extends CloudEventAttributes<Type> {
  /** Where the data are, as they are of `datacontenttype`: GET it, without a token, within 30 days. */
  dataref: string;
  data?: undefined;
}
"""


def pydantic_module(parts: Sequence[Part]) -> str:
    """A module: what the texts import, once; their classes; the union, and what reads it."""
    imports: dict[str, set[str]] = {
        "typing": {"Annotated", "Any", "Literal", "TypeAlias"},
        "pydantic": {"BaseModel", "ConfigDict", "Field", "TypeAdapter"},
    }
    bodies = []
    for part in parts:
        if part.text is None:
            bodies.append(_open_model(part))
            continue
        taken = [node for node in ast.parse(part.text).body if isinstance(node, ast.ImportFrom)]
        for node in taken:
            imports.setdefault(node.module or "", set()).update(alias.name for alias in node.names)
        last = max((node.end_lineno or 0 for node in taken), default=0)
        bodies.append("\n".join(part.text.splitlines()[last:]).strip() + "\n")
    imports.pop("__future__", None)
    ours = {name: f"from {name} import {', '.join(sorted(names))}" for name, names in sorted(imports.items())}
    return "\n".join(
        [
            f'"""{_ABOUT}"""',
            "",
            "from __future__ import annotations",
            "",
            *(line for name, line in ours.items() if name in sys.stdlib_module_names),
            "",
            *(line for name, line in ours.items() if name not in sys.stdlib_module_names),
            "",
            "",
            "\n\n".join(bodies),
            _THIN,
            *_pydantic_union([part.name for part in parts if part.text is not None]),
        ]
    )


_THIN: Final = '''
class ThinCloudEvent(BaseModel):
    """
    A CloudEvent of a subscription with `payload: thin`, as its webhook's body. Its data are elsewhere.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    dataref: str
    """Where the data are, as they are of `datacontenttype`: GET it, without a token, within 30 days."""
    data: None = None
'''


def _open_model(part: Part) -> str:
    if part.any_value:
        return f'{part.name}: TypeAlias = Any\n"""{part.event_type}: {_ANY_VALUE}"""\n'
    return (
        f'class {part.name}(BaseModel):\n    """\n    {part.event_type}: its contract is JSON Schema alone.\n'
        '    """\n\n    model_config = ConfigDict(\n        extra="allow",\n    )\n'
    )


def _pydantic_union(names: Sequence[str]) -> Sequence[str]:
    """The union of those that say what they are; one alone needs none to be told apart from."""
    if not names:
        return ()
    discriminator = ['    Field(discriminator="event_type"),'] if len(names) > 1 else ["    Field(),"]
    return [
        "",
        "LettaEvent: TypeAlias = Annotated[",
        "    " + "\n    | ".join(names) + ",",
        *discriminator,
        "]",
        '"""What a webhook in binary mode has as its body, told apart by `event_type`."""',
        "",
        "LETTA_EVENT: TypeAdapter[LettaEvent] = TypeAdapter(LettaEvent)",
        '"""Reads one: `LETTA_EVENT.validate_json(body)`."""',
        "",
    ]
