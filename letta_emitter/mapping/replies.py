"""Which of the stored messages are replies of the agent, and what they say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

# An answer that also asks for the approval of a tool call is stored under the second role.
_ROLES: Final = frozenset({"assistant", "approval"})
_ANSWERING_TOOL: Final = "send_message"


@dataclass(frozen=True, slots=True)
class Reply:
    """The words of one message, and the `send_message` call that carried them, if one did."""

    text: str
    tool_call_id: str | None


def may_reply(role: str, step_id: str | None) -> bool:
    """Whether a message can be a reply: the agent's own, made in a step (its first messages are not)."""
    return role in _ROLES and bool(step_id)


def reply_of(message: Mapping[str, Any], *, text_is_reply: bool) -> Reply | None:
    """Return what the message says to the user, or None where it says nothing to them.

    Agents of the newer kind answer in text. Older ones answer by calling `send_message`, and what they write
    beside a call is reasoning.
    """
    if not may_reply(str(message.get("role")), message.get("step_id")):
        return None
    calls = message.get("tool_calls") or []
    parts = [_text(message)] if text_is_reply or not calls else []
    sent = [(call.get("id"), words) for call in calls if (words := _sent(call))]
    parts += [words for _, words in sent]
    text = "\n".join(part for part in parts if part)
    return Reply(text, sent[0][0] if sent else None) if text else None


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content or [] if part.get("type") == "text")


def _sent(call: Mapping[str, Any]) -> str | None:
    """The words of a `send_message` call; None for other calls and for arguments that are no such JSON."""
    function = call.get("function") or {}
    if function.get("name") != _ANSWERING_TOOL:
        return None
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except ValueError:
        return None
    words = arguments.get("message") if isinstance(arguments, dict) else None
    return words if isinstance(words, str) else None
