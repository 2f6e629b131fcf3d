"""The page `docs/problems.md`: every error that a caller or a user can cause, written from `gateway.errors`.

`python -m gateway.cli.problems_page docs` writes it; a test compares what is committed with what would be written.
"""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import gateway
from gateway.errors import (
    PROBLEM_TYPE_BASE,
    ArchiveUnusable,
    CommandError,
    GatewayError,
    RequestError,
    Unavailable,
)
from gateway.registry.errors import RegistryError
from letta_emitter.routes import problems as routes

PAGE: Final = "problems.md"

_INTRODUCTION: Final = f"""\
# Problems

Made from the code by `gateway.cli.problems_page`; do not edit.

Whatever goes wrong has a name. The API answers it as `application/problem+json` (RFC 9457), a command prints the same
sentence on stderr and exits with 1 (2 for wrong usage). The `type` is stable: a program tells problems by it, never by
the words. It is a URN, so there is nothing to fetch: what stands behind `{PROBLEM_TYPE_BASE}` is the heading on
this page. A type that a program does not know is one of its `status`.

```text
{{
  "type": "{PROBLEM_TYPE_BASE}invalid-request",
  "title": "Some members are not valid",
  "status": 422,
  "detail": "The subscription is not valid.",
  "errors": [{{"pointer": "/sink", "detail": "must be given: the URL that events are posted to"}}]
}}
```

`errors` names all offending members at once: `pointer` is a JSON Pointer (RFC 6901) into the body, or the name of a
header or parameter; it is empty where no single member is at fault. 429 and 503 may carry `Retry-After`, 401 carries
`WWW-Authenticate`. What HTTP itself refuses, a method that a path has not (405), has the type `about:blank`: the status
says it all.

The answers of sinks are not problems: what becomes of them is in [state-machine.md](state-machine.md).
"""

_GROUPS: Final[Sequence[tuple[str, str]]] = (
    ("Answers of the API", "What a request can be answered."),
    (
        "Starting and operating",
        "What stands in the way of a start, or of a command that opens the data itself.",
    ),
    ("Commands", "What a command that speaks to a gateway, or checks something, ends with."),
)


_REGISTRY: Final = """
## Answers of the registry

Under `/registry` the specification (xRegistry 1.0-rc4) gives the types, and each leads to its page there; `subject` and
`args` are beside what every problem has.

| status | type | what it says |
| --- | --- | --- |"""

_ON_LETTA: Final = """
## Answers of a Letta server

Of the webhook routes on Letta's own API, where what they stand before did not answer. All else is passed on as the
gateway has said it, and what Letta itself says (an agent that is not there, an id that is none) is in Letta's words."""

_UNFORESEEN: Final = (
    "Something that nobody foresaw. The gateway's log has the details; the answer never does."
)


def every_error() -> list[type[GatewayError]]:
    """Every class of error there is, in the order in which they are declared, those with a type of their own alone."""
    for found in pkgutil.walk_packages(gateway.__path__, "gateway."):
        if not found.name.endswith("__main__") and ".migrations." not in found.name:
            importlib.import_module(found.name)
    return [kind for kind in dict.fromkeys(_below(GatewayError)) if "slug" in vars(kind)]


def problems_page() -> str:
    """The page, in Markdown."""
    return "\n".join(_lines())


def _below(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from _below(inner)


def _lines() -> Iterator[str]:
    kinds = every_error()
    yield _INTRODUCTION
    yield "| status | type | what it says |"
    yield "| --- | --- | --- |"
    for kind in sorted((one for one in kinds if _group(one) == 0), key=lambda one: one.status):
        yield f"| {kind.status} | [`{kind.slug}`](#{kind.slug}) | {kind.title} |"
    for number, (heading, about) in enumerate(_GROUPS):
        yield f"\n## {heading}\n\n{about}"
        for kind in kinds:
            if _group(kind) == number:
                yield from _section(kind, answered=number == 0)
    yield _ON_LETTA
    for found in routes.OWN:
        yield f"\n### {found.slug}\n"
        yield f"`{PROBLEM_TYPE_BASE}{found.slug}`, “{found.title}”, status {found.status}.\n"
        yield f"What to do: {found.hint}"
    yield _REGISTRY
    for named in RegistryError.__subclasses__():
        yield f"| {named.status} | [`{named.kind}`]({registry_type(named)}) | {_sentence(named)} |"
    yield ""


def registry_type(kind: type[RegistryError]) -> str:
    """The `type` of an error of the registry, which is the specification's: an address, not a URN."""
    return kind.__new__(kind).problem_type  # it names the class; what happened has no part in it


def _group(kind: type[GatewayError]) -> int:
    if issubclass(kind, RequestError | Unavailable | ArchiveUnusable) or kind is GatewayError:
        return 0
    return 2 if issubclass(kind, CommandError) else 1


def _sentence(kind: type[GatewayError]) -> str:
    return " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split()).replace("``", "`")


def _section(kind: type[GatewayError], *, answered: bool) -> Iterator[str]:
    status = f", status {kind.status}" if answered else f"; the exit code is {kind.exit_code}"
    yield f"\n### {kind.slug}\n"
    yield f"`{PROBLEM_TYPE_BASE}{kind.slug}`, “{kind.title}”{status}.\n"
    yield _UNFORESEEN if kind is GatewayError else _sentence(kind)
    if kind.default_hint:
        yield f"\nWhat to do: {kind.default_hint}"


if __name__ == "__main__":
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs") / PAGE
    path.write_text(problems_page(), encoding="utf-8")
    sys.stdout.write(f"{path}\n")
