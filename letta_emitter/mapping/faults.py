"""One shape for what went wrong.

Letta tells it as text, as a dict of one of several kinds, or not at all, depending on the way a run took.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from letta_emitter.mapping.cutting import Cutter
from schemas import ErrorInfo

_TYPES: Final = ("error_type", "type", "code")
_MESSAGES: Final = ("message", "error_message", "detail", "details")


def step_fault(step: Mapping[str, Any], cutter: Cutter) -> ErrorInfo | None:
    """The error of a failed step: its own columns, else its stop reason."""
    data = step.get("error_data")
    message = data.get("message") if isinstance(data, Mapping) else data
    return _info(step.get("error_type") or step.get("stop_reason"), message, cutter)


def work_fault(row: Mapping[str, Any], cutter: Cutter) -> ErrorInfo | None:
    """The error of a run or job: what its metadata says; where it failed without a word, that."""
    metadata = row.get("metadata")
    error = metadata.get("error") if isinstance(metadata, Mapping) else None
    if isinstance(error, Mapping):
        kind, message = _first(error, _TYPES), _message(error)
    else:
        kind, message = None, error
    if not kind and not message:
        if row.get("status") != "failed":
            return None
        message = "Letta recorded no reason."
    return _info(kind or row.get("stop_reason") or "error", message, cutter)


def tool_fault(status: str, func_return: object, cutter: Cutter) -> ErrorInfo | None:
    """The error of a tool call. Letta's text for it is `Error executing function NAME: Type: message`."""
    if status != "error":
        return None
    text = func_return if isinstance(func_return, str) else None
    if text is None:
        return _info("ToolError", func_return, cutter)
    _, _, rest = text.partition("Error executing function ")
    _, _, reason = rest.partition(": ")
    kind, colon, _ = reason.partition(": ")
    named = colon and kind.isidentifier()
    return _info(kind if named else "ToolError", text, cutter)


def _message(error: Mapping[str, Any]) -> str | None:
    """The words of an error dict; a detail that says more than the message is added to it."""
    message, detail = _first(error, _MESSAGES), error.get("detail")
    if message is None or not detail or str(detail) in str(message):
        return None if message is None else str(message)
    return f"{message}: {detail}"


def _first(error: Mapping[str, Any], names: tuple[str, ...]) -> object:
    return next((error[name] for name in names if error.get(name)), None)


def _info(kind: object, message: object, cutter: Cutter) -> ErrorInfo | None:
    if not kind and not message:
        return None
    text = str(message) if message else None
    return ErrorInfo(type=str(kind) if kind else None, message=cutter.text("error", text))
