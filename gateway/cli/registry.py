"""The contracts of a running gateway, for the commands that list, show and add them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import contracts as store
from gateway.cli.client import GatewayClient, Json, connect
from gateway.cli.endpoint import DEFAULT_DATA_DIR, read_endpoint
from gateway.cli.output import say
from gateway.errors import NoServer, UsageError
from gateway.registry.naming import place_of
from schemas import short_of

_ROOT = "/registry"


def known_contracts(data_dir: Path | None, gateway_url: str | None) -> list[Json]:
    """Every version: of the gateway that is named or runs here, else those that come with this package.

    Each as a record of `type`, `version`, `title`, `description`, and its `schema`. Raises as `connect` and
    `GatewayClient.request` do, where a gateway was named.
    """
    named = data_dir is not None or bool(gateway_url)
    if not named and read_endpoint(DEFAULT_DATA_DIR) is None:
        return list(_of_the_package())
    try:
        with connect(data_dir, token_needed=False) as client:
            return list(_of_the_gateway(client))
    except NoServer:
        if named:
            raise
        say("No gateway runs here; these are the contracts that come with this package.")
        return list(_of_the_package())


def rendered_contract(type_: str, format_name: str, data_dir: Path | None = None) -> str | None:
    """The newest version of a type in a language, of the gateway that is named or runs here.

    None where none is named or runs, or it has no such type. Raises as `connect` and `GatewayClient.request` do, where
    a gateway was named.
    """
    named = data_dir is not None or bool(os.environ.get("GATEWAY_URL"))
    if not named and read_endpoint(DEFAULT_DATA_DIR) is None:
        return None
    try:
        with connect(data_dir, token_needed=False) as client:
            place = next((url for known, url in _places(client) if known == type_), None)
            if place is None:
                return None
            return client.exchange("GET", place, params={"format": format_name}).text
    except NoServer:
        if named:
            raise
        return None


def _places(client: GatewayClient) -> Iterator[tuple[str, str]]:
    groups = client.request("GET", f"{_ROOT}/schemagroups", params={"inline": "schemas"})
    for group_id, group in groups.items():
        for name, schema in group["schemas"].items():
            path = "{}/schemagroups/{}/schemas/{}".format(
                _ROOT, *(quote(it, safe="") for it in (group_id, name))
            )
            yield schema["eventtype"], path


def add_contract(
    client: GatewayClient, type_: str, group: str | None, schema: object, compatibility: str | None
) -> tuple[str, bool]:
    """Register the next version of a type's contract. Returns its URL, and whether it is a new one."""
    place = place_of(type_, group)
    if place is None:
        raise UsageError(
            f"{type_} has no place in the registry: a type has two parts or more, of letters, digits and ._~:@-.",
            hint="With --group, the type begins with the group.",
        )
    path = "{}/schemagroups/{}/schemas/{}".format(_ROOT, *(quote(part, safe="") for part in place))
    answer = client.exchange("POST", path, body=schema, params={"compatibility": compatibility})
    return answer.headers.get("Content-Location", path), answer.status_code == 201  # noqa: PLR2004 - Created


def _of_the_package() -> Iterator[Json]:
    known = store.load()
    for type_name in known.types():
        for version in known.versions(type_name):
            yield _record(type_name, version, known.schema(type_name, version))


def _of_the_gateway(client: GatewayClient) -> Iterator[Json]:
    groups = client.request("GET", f"{_ROOT}/schemagroups", params={"inline": "schemas.versions.schema"})
    versions = [
        version
        for group in groups.values()
        for schema in group["schemas"].values()
        for version in schema["versions"].values()
    ]
    for version in sorted(versions, key=lambda found: (found["eventtype"], int(found["versionid"]))):
        yield _record(version["eventtype"], int(version["versionid"]), version["schema"])


def _record(type_: str, version: int, schema: dict[str, Any]) -> Json:
    return {
        "type": type_,
        "version": version,
        "title": short_of(type_) or type_,
        "description": str(schema.get("description", "")),
        "schema": schema,
    }
