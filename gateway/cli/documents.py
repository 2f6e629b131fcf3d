"""The documents in `contracts/` that are made from routes and models: OpenAPI, AsyncAPI, and what a release promises.

`python -m gateway.cli.documents contracts` writes them anew; with `--release`, what they promise from now on as well.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gateway.api.application import openapi_document
from gateway.api.document.asyncapi import asyncapi_document
from gateway.api.document.surface import promises
from gateway.parts import version

ASYNCAPI: Final = "asyncapi.json"
OPENAPI: Final = "openapi.json"
BREAKS: Final = "openapi-breaks.txt"
"""What of it is broken since, and said to be."""

PROMISES: Final = "openapi-promises.txt"
"""What the last release promised: the baseline that breaks are told against."""


def text_of(document: Mapping[str, Any]) -> str:
    """A document as its file has it."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def openapi_text() -> str:
    """The OpenAPI document of this version."""
    return text_of(openapi_document(version()))


def asyncapi_text() -> str:
    """The AsyncAPI document of this version."""
    return text_of(asyncapi_document(version()))


def promises_text() -> str:
    """What it promises."""
    return "".join(f"{line}\n" for line in sorted(promises(openapi_document(version()))))


def main(folder: Path, *, release: bool) -> None:
    """Write them, and print where."""
    texts = {OPENAPI: openapi_text(), ASYNCAPI: asyncapi_text()} | (
        {PROMISES: promises_text()} if release else {}
    )
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{folder / name}\n")


if __name__ == "__main__":
    given = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    main(Path(given[0] if given else "contracts"), release="--release" in sys.argv)
