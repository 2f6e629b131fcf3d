"""What the registry says where nothing of its own answers: unknown paths and methods, and who may not write."""

from collections.abc import Mapping

from fastapi import Request, Response

from gateway.api.services import services
from gateway.errors import RequestError
from gateway.registry.catalogue import PATH
from gateway.registry.errors import ActionNotSupported, ApiNotFound

_NO_METHOD = 405


def is_registry(request: Request) -> bool:
    """Whether a request is one to the registry."""
    path = request.url.path
    return path == PATH or path.startswith(f"{PATH}/")


def root_link(request: Request) -> str:
    """The header that leads to the registry's root (xRegistry, HTTP binding)."""
    return f"<{services(request).catalogue.root}>;rel=xregistry-root"


def linked(request: Request, answer: Response) -> Response:
    """The same answer; one of the registry leads to its root, whatever it says."""
    if is_registry(request):
        answer.headers["Link"] = root_link(request)
    return answer


def unserved(request: Request, status: int) -> RequestError:
    """What is wrong with a request that no route takes."""
    path = request.url.path.removeprefix(PATH) or "/"
    if status == _NO_METHOD:
        return ActionNotSupported(path, action=request.method)
    return ApiNotFound(path)


def allowing(answer: Response, headers: Mapping[str, str] | None) -> Response:
    """The same answer with the methods that there are."""
    answer.headers.update({name: value for name, value in (headers or {}).items() if name.lower() == "allow"})
    return answer
