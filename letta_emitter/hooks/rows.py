"""Letta's models as plain data."""

from __future__ import annotations

from typing import Any, cast


def dumped(model: object, *, only: set[str] | None = None) -> dict[str, Any]:
    """Dump one of Letta's models as JSON data, without the messages that a step may carry along."""
    source = cast("Any", model)
    exclude = {"messages"} if only is None else None
    row: dict[str, Any] = source.model_dump(mode="json", include=only, exclude=exclude)
    return row


def plain(value: object) -> str | None:
    """An enum's value, or a string, as text."""
    value = getattr(value, "value", value)
    return None if value is None else str(value)
