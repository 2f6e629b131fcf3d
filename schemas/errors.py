"""What can be wrong with an event from outside, told all at once and in sentences a person can act on."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Problem:
    """One offending field.

    Attributes:
        pointer: Where, as a JSON pointer (RFC 6901) into the event; `""` is the event as a whole. In binary
            mode the pointers are those the event would have in the JSON format.
        detail: What is wrong and what would be right.
    """

    pointer: str
    detail: str

    def __str__(self) -> str:
        return f"{self.pointer or '(event)'}: {self.detail}"

    def below(self, prefix: str) -> "Problem":
        """Return the same problem seen from further out, for members of a batch."""
        return Problem(prefix + self.pointer, self.detail)


class EnvelopeError(ValueError):
    """The bytes are not a CloudEvent that may pass; `problems` lists every reason found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "; ".join(map(str, self.problems))

    @classmethod
    def at(cls, pointer: str, detail: str) -> Self:
        """Make an error of one problem."""
        return cls((Problem(pointer, detail),))


class MalformedJsonError(EnvelopeError):
    """The text is not strict JSON: syntax, encoding, a duplicate key, NaN or Infinity."""


class TooDeepError(MalformedJsonError):
    """JSON is nested deeper than `strict_json.DEPTH_MAX`."""


class UnsupportedFormatError(EnvelopeError):
    """The content type names a CloudEvents format or a charset that is not spoken here (HTTP 415)."""


class BatchTooLongError(EnvelopeError):
    """A batch has more members than the caller allows (HTTP 413)."""


class PayloadError(EnvelopeError):
    """The envelope is sound, but its data is not the Letta payload that its type promises."""


def pointer_of(*parts: str | int) -> str:
    """Write a JSON pointer (RFC 6901 section 3)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
