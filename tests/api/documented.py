"""Holds each answer of the API to the OpenAPI document: its status is described, and its body has the shape."""

import json
import re
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

from gateway.api.application import openapi_document
from gateway.api.document.operations import OPERATIONS

DOCUMENT = openapi_document("0")
JSON = ("application/json", "application/problem+json")


@cache
def _paths() -> list[tuple[re.Pattern[str], str]]:
    """Every path as a pattern; what is fixed before what is variable."""
    found = sorted(DOCUMENT["paths"], key=lambda path: (path.count("{"), path))
    return [(re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), path) for path in found]


@cache
def _validator(method: str, path: str, status: str, kind: str) -> jsonschema_rs.Validator | None:
    answer = DOCUMENT["paths"][path][method]["responses"].get(status)
    assert answer is not None, f"{method} {path} answers {status}, which the document does not know"
    if "$ref" in answer:
        answer = DOCUMENT["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    media = answer.get("content", {}).get(kind) or answer.get("content", {}).get("*/*")
    assert media is not None, f"{method} {path} answers {status} as {kind}, which the document does not know"
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **media.get("schema", {})}
    return jsonschema_rs.validator_for(schema | {"components": DOCUMENT["components"]}, validate_formats=True)


def check(response: httpx.Response) -> None:
    """Compare an answer with the document; for the hooks of a client.

    What has no line in `OPERATIONS` is passed over; another test sees to it that every route of `/v1` has one.
    """
    raw = response.request.url.raw_path.decode().partition("?")[0]
    method = response.request.method.lower()
    path = next((path for pattern, path in _paths() if pattern.fullmatch(raw)), None)
    kind = response.headers.get("content-type", "").partition(";")[0].strip()
    if path is None or (method, path) not in OPERATIONS or kind not in JSON:
        return
    response.read()
    body: Any = json.loads(response.content)
    validator = _validator(method, path, str(response.status_code), kind)
    if validator is not None:
        faults = [f"{error.instance_path}: {error.message[:300]}" for error in validator.iter_errors(body)]
        assert not faults, f"{method} {path} {response.status_code} is not as documented: {faults}\n{body}"
