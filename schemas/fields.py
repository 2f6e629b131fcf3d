"""Types that the event models share: ids, times, text that is cut, and the one shape of an error."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from schemas.rfc3339 import moment

TEXT_BYTES_MAX: Final = 32 * 1024
"""Longer text is cut and marked (UTF-8 bytes)."""


def cut_text(text: str, bytes_max: int = TEXT_BYTES_MAX) -> tuple[str, bool]:
    """Cut text to at most `bytes_max` bytes of UTF-8, never inside a character.

    Halves of surrogate pairs, which no JSON reader could take, become question marks.

    Returns:
        The text and whether it was cut.
    """
    if len(text) * 4 <= bytes_max and text.isascii():
        return text, False
    octets = text.encode("utf-8", "replace")
    if len(octets) <= bytes_max:
        return octets.decode(), False
    return octets[:bytes_max].decode("utf-8", "ignore"), True


def _whole_characters(value: object) -> object:
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "replace").decode()
    return value


def _moment(value: object) -> object:
    """A time as contracts have it: text, by RFC 3339. Whoever makes an event gives a `datetime`."""
    if isinstance(value, str):
        return moment(value)
    if isinstance(value, datetime):
        return value
    raise ValueError("is no date-time of RFC 3339 in a string")


def _in_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


def _whole(value: object) -> object:
    """1.0 is an integer, by JSON Schema (validation, 6.1.1) and to most writers of JSON; 1.5 is none, nor is "1"."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# As strict as the contracts are: what a contract refuses must not be read as something else.
Id = Annotated[str, Field(min_length=1)]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment), AfterValidator(_in_utc)]
Whole = Annotated[int, Field(strict=True), BeforeValidator(_whole)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]
Text = Annotated[str, BeforeValidator(_whole_characters)]


class Open(BaseModel):
    """A model that keeps what it does not know, so that a newer sender does not break an older reader."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())


class ErrorInfo(Open):
    """What went wrong, in one shape for every event."""

    type: Text | None = Field(None, description="The class of the error, such as LLMRateLimitError.")
    message: Text | None = Field(
        None, description="The error in words, for people; may be cut, see `truncated`."
    )


class Usage(Open):
    """Tokens that one step used, as the model's provider counted them."""

    prompt_tokens: Whole | None = Field(None, description="Tokens in the prompt.")
    completion_tokens: Whole | None = Field(None, description="Tokens the model generated.")
    total_tokens: Whole | None = Field(None, description="Prompt and completion tokens together.")
    cached_input_tokens: Whole | None = Field(
        None, description="Prompt tokens served from the provider's cache; null if it does not tell."
    )
    cache_write_tokens: Whole | None = Field(
        None, description="Prompt tokens written to the provider's cache; null if it does not tell."
    )
    reasoning_tokens: Whole | None = Field(
        None,
        description="Tokens spent on reasoning, within the completion; null if the provider does not tell.",
    )
