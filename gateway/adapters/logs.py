"""The log of the process, on standard error: one place that says how everything in it is written (decision 22).

Our own lines, uvicorn's and those of every library go through the same formatter: as one JSON object a line for
machines, or for a person to read. Secrets are taken out of all of them, and nothing in them is without a bound.
"""

import json
import logging
import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import IO, Any, Final, Literal

from otel.redaction import Redaction

Style = Literal["json", "text"]
Level = Literal["debug", "info", "warning", "error"]

MESSAGE_CHARS_MAX: Final = 4_096
FIELD_CHARS_MAX: Final = 256
STACK_CHARS_MAX: Final = 16_384
FIELDS_MAX: Final = 32
_CUT: Final = "…"
_UNCUT: Final = 16
_EDGE_CHARS: Final = 512
"""A secret is shorter: where a text was cut before it was looked for, it may be there in part."""

_TELEMETRY: Final = "opentelemetry."
_JSON: Final = json.JSONEncoder(separators=(",", ":"), default=str).encode


def configure(style: Style, level: Level, redaction: Redaction) -> None:
    """Write the log of this process so from now on. Libraries are heard from ``warning`` on, or at ``debug``."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(handler_for(style, redaction, sys.stderr))
    root.setLevel(logging.DEBUG if level == "debug" else max(logging.WARNING, _level(level)))
    logging.getLogger("gateway").setLevel(_level(level))
    logging.captureWarnings(capture=True)


def handler_for(style: Style, redaction: Redaction, stream: IO[str]) -> logging.Handler:
    """What writes lines of that style."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines(redaction) if style == "json" else TextLines(redaction))
    return handler


class _Lines(logging.Formatter):
    """What both styles have in common: what is in a line, without secrets, and bounded."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def _told(self, record: logging.LogRecord) -> tuple[str, dict[str, Any], str | None]:
        """The message, what else the line tells, and where it happened."""
        message, fields, stack = _bounded(_message(record), MESSAGE_CHARS_MAX), _fields(record), None
        if (record.exc_info or record.stack_info) and not record.name.startswith(_TELEMETRY):
            # The end of it says what happened.
            stack = self._stack(record)[-_UNCUT * STACK_CHARS_MAX :]
        texts = [message, stack or "", *(value for value in fields.values() if isinstance(value, str))]
        if self._redaction.touches("\n".join(texts)):
            message = self._clean(message, MESSAGE_CHARS_MAX)
            # Of a stack it is the beginning that was cut off.
            stack = stack and self._clean(stack, STACK_CHARS_MAX, at_end=False)
            fields = {
                name: self._clean(item, FIELD_CHARS_MAX) if isinstance(item, str) else item
                for name, item in fields.items()
            }
        fields = {
            name: _cut(item, FIELD_CHARS_MAX) if isinstance(item, str) else item
            for name, item in fields.items()
        }
        return _cut(message, MESSAGE_CHARS_MAX), fields, stack and stack[-STACK_CHARS_MAX:]

    def _clean(self, text: str, chars_max: int, *, at_end: bool = True) -> str:
        clean = self._redaction.text(text)
        if len(text) < _UNCUT * chars_max:
            return clean
        return clean[:-_EDGE_CHARS] if at_end else clean[_EDGE_CHARS:]

    def _stack(self, record: logging.LogRecord) -> str:
        parts = [self.formatException(record.exc_info)] if record.exc_info and record.exc_info[0] else []
        return "\n".join([*parts, record.stack_info or ""]).strip("\n")


class JsonLines(_Lines):
    """One JSON object a line: time, level, logger, message; then what the line tells; then where it happened."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        message, fields, stack = self._told(record)
        line: dict[str, Any] = {
            "time": _moment(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        line = fields | line if fields.keys() & line.keys() else line | fields
        if stack:
            line["exception"] = stack
        return _JSON(line)


class TextLines(_Lines):
    """For a person: what happened, and behind it what the line tells, as ``name=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and below it a stack where there is one."""
        message, fields, stack = self._told(record)
        told = "".join(f" {name}={_plain(value)}" for name, value in fields.items())
        line = _one_line(f"{_moment(record.created)} {record.levelname} {record.name}: {message}{told}")
        return f"{line}\n{stack}" if stack else line


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What a line tells beside its message: figures, and names of a bounded length; nothing of what is None."""
    told = getattr(record, "fields", None)
    if not isinstance(told, Mapping):
        return {}
    return {
        str(name)[:FIELD_CHARS_MAX]: value
        if isinstance(value, bool | int | float)
        else _bounded(str(value), FIELD_CHARS_MAX)
        for name, value in islice(told.items(), FIELDS_MAX)
        if value is not None
    }


def _message(record: logging.LogRecord) -> str:
    """The message; of a failure of telemetry with its cause, which is a user's variable or an exporter's end."""
    message = record.getMessage()
    if record.exc_info and record.exc_info[1] is not None and record.name.startswith(_TELEMETRY):
        error = record.exc_info[1]
        return (
            f"{message} ({type(error).__name__}: {error})"
            if str(error)
            else f"{message} ({type(error).__name__})"
        )
    return message


def _bounded(text: str, chars_max: int) -> str:
    """Not all of what has no bound, and more than will be shown: a secret that is cut in two would not be found."""
    return text[: _UNCUT * chars_max]


def _cut(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else text[:chars_max] + _CUT


def _plain(value: object) -> str:
    text = str(value)
    return json.dumps(text) if " " in text or '"' in text or "=" in text else text


def _one_line(text: str) -> str:
    """Nobody who is quoted in a message may make a line of his own."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def _moment(at_s: float) -> str:
    """RFC 3339, UTC, in milliseconds."""
    whole = int(at_s)
    return f"{_second(whole)}.{int((at_s - whole) * 1_000):03d}Z"


@lru_cache(maxsize=4)
def _second(at_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_s))


def _level(name: Level) -> int:
    return logging.getLevelNamesMapping()[name.upper()]
