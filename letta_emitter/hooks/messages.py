"""Messages: the replies among those that are stored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from letta_emitter.hooks import detached
from letta_emitter.hooks.context import here
from letta_emitter.hooks.rows import dumped, plain
from letta_emitter.hooks.sending import deliver
from letta_emitter.hooks.steps import answers_in_text
from letta_emitter.hooks.wrapping import Seen
from letta_emitter.mapping.calls import MessagesStored
from letta_emitter.mapping.replies import may_reply

_FIELDS: Final = {
    "id",
    "agent_id",
    "role",
    "content",
    "name",
    "model",
    "tool_calls",
    "step_id",
    "run_id",
    "otid",
    "group_id",
    "sender_id",
    "conversation_id",
    "created_at",
}


def _candidates(messages: object) -> list[Any]:
    """The messages that can be replies, without looking into them."""
    found: Iterable[Any] = messages if isinstance(messages, list) else ()
    return [message for message in found if may_reply(plain(message.role) or "", message.step_id)]


def _tell(seen: Seen, messages: object, *, text_is_reply: bool) -> None:
    for message in _candidates(messages):
        row = dumped(message, only=_FIELDS)
        context = here(seen.organization_id, step_id=row["step_id"])
        deliver(MessagesStored(context, [row], text_is_reply))


class _Stored:
    def returned(self, seen: Seen, result: object) -> None:
        _tell(seen, result, text_is_reply=answers_in_text.get())

    def raised(self, seen: Seen, error: BaseException) -> None:
        """Read again what was to be stored: it may have been committed before the call ended (S9f)."""
        del error
        ids = [message.id for message in _candidates(seen.arguments.get("pydantic_msgs"))]
        if not ids:
            return
        manager: Any = seen.instance
        actor, text_is_reply = seen.arguments.get("actor"), answers_in_text.get()

        async def read() -> None:
            stored = await manager.get_messages_by_ids_async(message_ids=ids, actor=actor)
            _tell(seen, stored, text_is_reply=text_is_reply)

        detached.start("reading messages again", read)


stored: Final = _Stored()
