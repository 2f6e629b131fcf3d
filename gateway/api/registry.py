"""``/registry``: the contracts, by xRegistry 1.0-rc4. Reading needs no token, registering does."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Query, Request, Response

from gateway.api.auth import Administrator
from gateway.api.body import read_json
from gateway.api.conditions import names
from gateway.api.registry_problems import root_link
from gateway.api.services import services
from gateway.errors import FieldError, InvalidRequest
from gateway.registry import entities
from gateway.registry.catalogue import PATH, Catalogue, Contract, EventType
from gateway.registry.entities import DETAILS, GROUPS, MEDIA_TYPE, Entity, View
from gateway.registry.errors import (
    FORMAT,
    ActionNotSupported,
    EntityNotFound,
    InvalidAttribute,
    MismatchedId,
    MissingBody,
    UnknownAttribute,
)
from gateway.registry.formats import FORMATS, Typed
from gateway.registry.inlining import Inline, parse_inline
from gateway.registry.model import CAPABILITIES, MODEL, MODEL_SOURCE
from schemas.http_binding import encode_value

router = APIRouter(prefix=PATH, tags=["registry"])

_JSON: Final = "application/json; charset=utf-8"
_IMMUTABLE: Final = "public, max-age=31536000, immutable"
_REVALIDATED: Final = "public, no-cache"
_HEADER: Final = "xregistry-"
_COMPATIBILITY: Final = "meta.compatibility"
_GROUP: Final = GROUPS + "/{group}"
_SCHEMA: Final = _GROUP + "/schemas/{name}"
_VERSION: Final = _SCHEMA + "/versions/{version}"

_Inlined = Annotated[list[str] | None, Query(description="Parts to write out, such as `*` (xRegistry)")]
_Doc = Annotated[str | None, Query(description="Without repetitions, for a document of its own (xRegistry)")]
_Format = Annotated[str | None, Query(alias="format", description="The same in another language's types")]
_F = TypeVar("_F", bound=Callable[..., Any])


def _described(about: str, media_type: str) -> dict[str, Any]:
    return {"description": about, "content": {media_type: {"schema": {"type": "object"}}}}


def _readable(path: str, summary: str, media_type: str = "application/json") -> Callable[[_F], _F]:
    """A route that is read, with GET and HEAD."""
    answers: dict[int | str, dict[str, Any]] = {
        200: _described(f"{summary}.", media_type),
        304: {"description": "It is still as its `ETag` in `If-None-Match` says."},
    }

    def add(function: _F) -> _F:
        for verb in (router.get, router.head):
            verb(path, summary=summary, response_class=Response, responses=answers)(function)
        return function

    return add


@_readable("", "The registry")
async def read_registry(request: Request, *, inline: _Inlined = None, doc: _Doc = None) -> Response:
    """What it is, and where its groups are."""
    view, wanted = _asked(request, inline, doc, "registry", "")
    return _entity(request, entities.registry(_catalogue(request), view, wanted))


# Clients put a URL together from the root's with a slash or without one: both are the root, and neither leads away.
for _verb in (router.get, router.head):
    _verb("/", response_class=Response, include_in_schema=False)(read_registry)


@_readable("/export", "The whole registry as one document")
async def export(request: Request, *, inline: _Inlined = None) -> Response:
    """Everything, written out: the same as `?doc&inline=*,capabilities,modelsource`."""
    asked = inline or ["*,capabilities,modelsource"]
    view, wanted = _asked(request, asked, "", "registry", "")
    return _entity(request, entities.registry(_catalogue(request), view, wanted))


@_readable("/model", "The model")
async def read_model(request: Request) -> Response:
    """What kinds of entities there are, with all their attributes."""
    return _entity(request, MODEL)


@_readable("/modelsource", "What the model says beyond the core")
async def read_model_source(request: Request) -> Response:
    """The model without what every registry has."""
    return _entity(request, MODEL_SOURCE)


@_readable("/capabilities", "What this registry can do")
async def read_capabilities(request: Request) -> Response:
    """Flags, formats and modes of compatibility."""
    return _entity(request, CAPABILITIES)


@_readable(GROUPS, "The groups")
async def read_groups(request: Request, *, inline: _Inlined = None, doc: _Doc = None) -> Response:
    """Every group, with where its schemas are."""
    view, wanted = _asked(request, inline, doc, "group", GROUPS)
    return _entity(request, entities.groups(_catalogue(request), view, wanted))


@_readable(_GROUP, "One group")
async def read_group(request: Request, group: str, *, inline: _Inlined = None, doc: _Doc = None) -> Response:
    """A group, with where its schemas are."""
    _types(request, group)
    view, wanted = _asked(request, inline, doc, "group", f"{GROUPS}/{group}")
    return _entity(request, entities.group(_catalogue(request), group, view, wanted))


@_readable(_GROUP + "/schemas", "The schemas of a group")
async def read_schemas(
    request: Request,
    group: str,
    *,
    inline: _Inlined = None,
    doc: _Doc = None,
    format_: _Format = None,
) -> Response:
    """Every schema of a group, as its newest version has it."""
    types = _types(request, group)
    if format_ is not None:
        return _rendered(request, format_, [known.newest for known in types.values()], _REVALIDATED)
    view, wanted = _asked(request, inline, doc, "schema", f"{GROUPS}/{group}/schemas")
    return _entity(request, entities.schemas(types, view, wanted))


@_readable(_SCHEMA, "The newest version of a contract", MEDIA_TYPE)
async def read_schema(
    request: Request,
    group: str,
    name: str,
    *,
    inline: _Inlined = None,
    doc: _Doc = None,
    format_: _Format = None,
) -> Response:
    """The JSON Schema of an event type's data; with `$details` behind the name, what is known of it."""
    known = _schema(request, group, name.removesuffix(DETAILS))
    if format_ is not None:
        return _rendered(request, format_, [known.newest], _REVALIDATED)
    view, wanted = _asked(request, inline, doc, "schema", f"{GROUPS}/{group}/schemas/{known.first.name}")
    located = {"Content-Location": known.newest.url}
    if name.endswith(DETAILS):
        entity = entities.schema(known, view, wanted)
        return _entity(request, entity, {"Content-Location": known.newest.url + DETAILS})
    entity = entities.schema(known, View(view.root), Inline())
    return _document(request, known.newest, entity, url=known.place, caching=_REVALIDATED, headers=located)


@_readable(_SCHEMA + "/meta", "What a schema is as a whole")
async def read_meta(request: Request, group: str, name: str) -> Response:
    """Its compatibility, and which version is the newest."""
    known = _schema(request, group, name)
    return _entity(request, entities.meta(known, View(_catalogue(request).root)))


@_readable(_SCHEMA + "/versions", "The versions of a contract")
async def read_versions(
    request: Request, group: str, name: str, *, inline: _Inlined = None, doc: _Doc = None
) -> Response:
    """Every version, ascending."""
    known = _schema(request, group, name)
    view, wanted = _asked(request, inline, doc, "version", f"{GROUPS}/{group}/schemas/{name}/versions")
    return _entity(request, entities.versions(known, view, wanted))


@_readable(_VERSION, "One version of a contract", MEDIA_TYPE)
async def read_version(
    request: Request,
    group: str,
    name: str,
    version: str,
    *,
    inline: _Inlined = None,
    doc: _Doc = None,
    format_: _Format = None,
) -> Response:
    """A version never changes; its ``$id`` is the URL it is read from (CONFORMANCE 43)."""
    known = _schema(request, group, name)
    contract = known.version(version.removesuffix(DETAILS))
    if contract is None:
        raise EntityNotFound(_subject(request))
    if format_ is not None:
        return _rendered(request, format_, [contract], _IMMUTABLE)
    xid = f"{GROUPS}/{group}/schemas/{name}/versions/{contract.stored.version}"
    view, wanted = _asked(request, inline, doc, "version", xid)
    if version.endswith(DETAILS):
        return _entity(request, entities.version(known, contract, view, wanted))
    entity = entities.version(known, contract, View(view.root), Inline())
    return _document(request, contract, entity, url=contract.url, caching=_IMMUTABLE)


@router.post(
    _SCHEMA,
    status_code=201,
    summary="Register the next version of a contract",
    response_class=Response,
    openapi_extra={
        "security": [{"bearer": []}],
        "requestBody": {"required": True, **_described("A JSON Schema 2020-12.", "application/json")},
    },
    responses={
        200: _described("The newest version says the same already.", MEDIA_TYPE),
        201: _described("Registered, and in force; as it is served.", MEDIA_TYPE),
        405: {
            "description": "Only the document can be posted, without `$details`.",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        },
    },
)
async def register(
    request: Request,
    caller: Administrator,
    group: str,
    name: str,
    *,
    compatibility: Annotated[
        str | None, Query(description="`forward_transitive`, `full_transitive` or `none`; set once, at first")
    ] = None,
) -> Response:
    """The body is a JSON Schema 2020-12, and works at once. A `$id` in it is ignored.

    The event type is the group's id and the schema's, with a dot between. A type's first version may say with
    `?compatibility=`, or the header `xRegistry-meta.compatibility`, what its versions are to promise each other.
    """
    service = services(request)
    if name.endswith(DETAILS):
        raise ActionNotSupported(_subject(request), action="POST")
    said = _attributes(request, group, name)
    posted = await read_json(request)
    if posted is None:
        raise MissingBody(_subject(request))
    registered = await service.registering.register(
        group, name, posted, compatibility=compatibility or said.get(_COMPATIBILITY), by=caller.token_id
    )
    contract = registered.contract
    known = _schema(request, group, name)
    headers = {"Content-Location": contract.url}
    if registered.made:
        service.appended()
        headers["Location"] = contract.url
    entity = entities.version(known, contract, View(service.catalogue.root), Inline())
    answer = _document(request, contract, entity, url=contract.url, caching="no-store", headers=headers)
    answer.status_code = 201 if registered.made else 200
    return answer


def _attributes(request: Request, group: str, name: str) -> dict[str, str]:
    """The attributes that the request's headers set, those that are read-only left out (xRegistry, HTTP binding)."""
    subject = f"{GROUPS}/{group}/schemas/{name}"
    said = {
        header.removeprefix(_HEADER): value
        for header, value in request.headers.items()
        if header.startswith(_HEADER)
    }
    known = services(request).catalogue.at(group, name)
    following = "1" if known is None else str(len(known.versions) + 1)
    for singular, expected in (("schema", name), ("version", following)):
        given = said.pop(f"{singular}id", expected)
        if given != expected:
            raise MismatchedId(subject, singular=singular, invalid_id=given[:128], expected_id=expected)
    if said.pop("format", FORMAT).lower() != FORMAT.lower():
        raise InvalidAttribute(subject, name="format", error_detail=f"only {FORMAT} is kept here")
    schema = MODEL["groups"]["schemagroups"]["resources"]["schemas"]
    for attribute in said.keys() - {_COMPATIBILITY}:
        definition = schema["attributes"].get(attribute) or schema["resourceattributes"].get(attribute)
        if definition is None or not definition.get("readonly"):
            raise UnknownAttribute(subject, name=attribute[:128])
    return said


def _catalogue(request: Request) -> Catalogue:
    return services(request).catalogue


def _subject(request: Request) -> str:
    return request.url.path.removeprefix(PATH) or "/"


def _types(request: Request, group: str) -> Mapping[str, EventType]:
    found = _catalogue(request).group(group)
    if found is None:
        raise EntityNotFound(_subject(request))
    return found


def _schema(request: Request, group: str, name: str) -> EventType:
    found = _catalogue(request).at(group, name)
    if found is None:
        raise EntityNotFound(_subject(request))
    return found


def _asked(
    request: Request, inline: list[str] | None, doc: str | None, kind: str, target: str
) -> tuple[View, Inline]:
    """How the request wants to see what it asks for."""
    wanted = parse_inline(inline or [], kind, _subject(request))
    return View(_catalogue(request).root, target, doc is not None and doc.lower() != "false"), wanted


def _entity(request: Request, entity: Entity, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps(entity, indent=2, ensure_ascii=False).encode() + b"\n"
    return _answer(request, body, _JSON, {"Cache-Control": _REVALIDATED, **(headers or {})})


def _document(
    request: Request,
    contract: Contract,
    entity: Entity,
    *,
    url: str,
    caching: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The schema itself, with what is known of it in headers."""
    told = {
        f"xRegistry-{name}": encode_value(json.dumps(value) if isinstance(value, bool | int) else value)
        for name, value in entity.items()
        if name not in {"contenttype", "self"} and isinstance(value, str | bool | int)
    }
    told |= {"xRegistry-self": url, "Content-Disposition": contract.stored.name, "Cache-Control": caching}
    return _answer(request, contract.body(), MEDIA_TYPE, told | dict(headers or {}))


def _rendered(request: Request, name: str, contracts: Iterable[Contract], caching: str) -> Response:
    found = FORMATS.get(name)
    if found is None:
        known = ", ".join(sorted(FORMATS)) or "none"
        field = FieldError("format", f"one of: {known}")
        raise InvalidRequest("Contracts are not rendered in this format.", fields=[field])
    typed = [Typed(contract.stored.type, contract.stored.version, contract.served) for contract in contracts]
    return _answer(request, found.render(typed).encode(), found.media_type, {"Cache-Control": caching})


def _answer(request: Request, body: bytes, media_type: str, headers: Mapping[str, str]) -> Response:
    """Answer a read, or a write with what is there now; 304 where the reader has the same bytes."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    told = {**headers, "ETag": etag, "Link": root_link(request), "Content-Type": media_type}
    if request.method in {"GET", "HEAD"} and names(request, etag):
        return Response(status_code=304, headers=told)
    if request.method == "HEAD":
        return Response(headers={**told, "Content-Length": str(len(body))})
    return Response(body, headers=told)
