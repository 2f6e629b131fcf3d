"""``/v1/tokens``: who may get in. Administrators' tokens only."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from gateway.api.auth import Administrator
from gateway.api.body import read_json
from gateway.api.paging import keys_in, page_of
from gateway.api.parameters import LIMIT, LIMIT_MAX
from gateway.api.services import services
from gateway.domain.api_tokens import SECRET_BYTES, new_token
from gateway.domain.token_input import parse_token
from gateway.errors import FieldError, InvalidRequest, NotFound
from gateway.ports import NewApiToken
from gateway.views.tokens import token_json

router = APIRouter(prefix="/v1/tokens", tags=["tokens"])

_LIST = "tokens"


@router.post("", status_code=201, summary="Make a token")
async def create(request: Request, caller: Administrator) -> JSONResponse:
    """Make a token for one organization, or with `"admin": true` for all; `read_only` and `expires_at` narrow it.

    The token is shown this once: what is kept is its hash.
    """
    service = services(request)
    asked, problems = parse_token(await read_json(request), service.now())
    if asked is None:
        fields = [FieldError(problem.pointer, problem.detail) for problem in problems]
        raise InvalidRequest("The token is not valid.", fields=fields)
    token, kept = new_token(service.random(SECRET_BYTES))
    made = await service.credentials.create(
        NewApiToken(
            hash=kept,
            name=asked.name,
            organization=asked.organization,
            read_only=asked.read_only,
            expires_at_us=asked.expires_at_us,
            by=caller.token_id,
        )
    )
    service.appended()
    headers = {"Location": f"{router.prefix}/{made.id}", "Cache-Control": "no-store"}
    return JSONResponse({**token_json(made, service.now()), "token": token}, status_code=201, headers=headers)


@router.get("", summary="List tokens")
async def list_tokens(
    request: Request,
    _caller: Administrator,
    *,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT,
    cursor: str | None = None,
) -> JSONResponse:
    """A page of tokens in order of creation, without those that are revoked and without the first one, a setting."""
    service = services(request)
    found = await service.credentials.tokens.page(after=keys_in(_LIST, cursor, int, str), limit=limit + 1)
    now_us = service.now()
    return page_of(
        _LIST,
        found,
        limit,
        keys=lambda token: (token.created_at_us, token.id),
        shown=lambda token: token_json(service.credentials.as_used(token), now_us),
    )


@router.get("/{token_id}", summary="One token")
async def read(request: Request, _caller: Administrator, token_id: str) -> JSONResponse:
    """What is known of a token."""
    service = services(request)
    found = await service.credentials.tokens.get(token_id)
    if found is None:
        raise NotFound("There is no token with this id.")
    return JSONResponse(token_json(service.credentials.as_used(found), service.now()))


@router.delete("/{token_id}", status_code=204, summary="Revoke a token")
async def revoke(request: Request, caller: Administrator, token_id: str) -> Response:
    """It opens nothing from now on, and the streams that it holds open end."""
    service = services(request)
    await service.credentials.revoke(token_id, by=caller.token_id)
    service.appended()
    return Response(status_code=204)
