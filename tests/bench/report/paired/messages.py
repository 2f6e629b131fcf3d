"""What is sent: one real Letta event of about 600 bytes, made anew for each number.

The body is the same for everybody. The gateway gets it as a structured CloudEvent in FastStream's frame, as
the emitter puts it into the stream; the peers get it as the text of a job. Building is done once: a number is
put into the finished bytes in place of marks of the same length, so it costs the same for the first and the last.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

from faststream.redis.parser import BinaryMessageFormatV1

import schemas
from letta_emitter.publisher import CONTENT_TYPE
from letta_emitter.spool import stamp
from paired.wire import SENT_DIGITS

_ID_MARK = "0123456789abcdef0123456789abcdef"
_SENT_MARK = "8" * SENT_DIGITS
_SEQUENCE_MARK = 77_777_777_777_777_777_777
_TRACE_MARK = "77777777777777777777777777777777"
_SAMPLED_MARK, _UNSAMPLED = "00f067aa0ba902b7-01", "00f067aa0ba902b7-00"
_TAG_DIGITS = 8


class Messages:
    """The messages of one run, by number. `tag` keeps the ids of two runs apart.

    Args:
        tag: Up to 8 digits.
        body_bytes: About how long the body is.
        sampled_every: Every so many are of a trace that their producer samples.
    """

    def __init__(self, tag: int, body_bytes: int, sampled_every: int = 1) -> None:
        self._sampled_every = sampled_every
        self._tag = f"{tag % 10**_TAG_DIGITS:0{_TAG_DIGITS}d}"
        envelope = schemas.to_envelope(_event(body_bytes), traceparent=f"00-{_TRACE_MARK}-{_SAMPLED_MARK}")
        self._structured = stamp(envelope.raw, _SEQUENCE_MARK)
        self._frame = asyncio.run(
            BinaryMessageFormatV1.encode(
                message=self._structured,
                reply_to=None,
                headers={"content-type": CONTENT_TYPE},
                correlation_id=str(_SEQUENCE_MARK),
            )
        )
        assert envelope.body is not None
        self._body = envelope.body

    def identity(self, number: int) -> str:
        """32 digits that no other message has."""
        return f"{self._tag}{number:024d}"

    def structured(self, number: int, sent_at_us: int = 0) -> bytes:
        """The CloudEvent, as it is stored."""
        return self._numbered(self._structured, number, sent_at_us)

    def frame(self, number: int, sent_at_us: int) -> bytes:
        """The CloudEvent in FastStream's frame, as it lies in the stream."""
        return self._numbered(self._frame, number, sent_at_us)

    def body(self, number: int) -> bytes:
        """The body as a receiver gets it."""
        return self._numbered(self._body, number, 0)

    def write(self, path: Path, count: int) -> Path:
        """Write jobs for a peer: a JSON object a line, with the id that becomes `webhook-id` and the body as text."""
        with path.open("w") as file:
            for number in range(count):
                job = {"id": f"msg_{self.identity(number)}", "body": self.body(number).decode()}
                file.write(json.dumps(job) + "\n")
        return path

    def _numbered(self, template: bytes, number: int, sent_at_us: int) -> bytes:
        identity = self.identity(number).encode()
        if number % self._sampled_every:
            template = template.replace(_SAMPLED_MARK.encode(), _UNSAMPLED.encode())
        return (
            template.replace(_ID_MARK.encode(), identity)
            .replace(_TRACE_MARK.encode(), identity)
            .replace(str(_SEQUENCE_MARK).encode(), b"%020d" % number)
            .replace(_SENT_MARK.encode(), b"%016d" % sent_at_us)
        )


def _event(body_bytes: int) -> schemas.StepCompleted:
    def event(text: str) -> schemas.StepCompleted:
        data = {
            "step_id": f"step-{_ID_MARK}",
            "run_id": "run-11111111-2222-4333-8444-555555555555",
            "status": "completed",
            "sent_at_us": _SENT_MARK,
            "text": text,
        }
        return schemas.StepCompleted(
            event_id=f"evt_{_ID_MARK}",
            timestamp=datetime(2026, 1, 1, 12, tzinfo=UTC),
            agent_id="agent-11111111-2222-4333-8444-555555555555",
            organization_id="org-11111111-2222-4333-8444-555555555555",
            data=schemas.StepCompletedData.model_validate(data),
        )

    bare = schemas.to_envelope(event("")).body
    assert bare is not None
    return event("x" * max(0, body_bytes - len(bare)))
