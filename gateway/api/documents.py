"""``/openapi.json``: the document as it is committed with the contracts."""

from functools import cache
from typing import Final

from fastapi import APIRouter, Request, Response

from contracts.store import HOME

router = APIRouter(tags=["service"])

OPENAPI: Final = "openapi.json"


@router.api_route("/openapi.json", methods=["GET", "HEAD"], include_in_schema=False)
async def openapi(_request: Request) -> Response:
    """What the API is, as OpenAPI 3.1. Read and not made: making it takes longer than anything else here may."""
    return Response(_document(), media_type="application/json")


@cache
def _document() -> bytes:
    return (HOME / OPENAPI).read_bytes()
