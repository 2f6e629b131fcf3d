"""Types that the event models share: ids, times, text that is cut, and the one shape of an error."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

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


def _in_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


Id = Annotated[str, Field(min_length=1)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
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

    prompt_tokens: int | None = Field(None, description="Tokens in the prompt.")
    completion_tokens: int | None = Field(None, description="Tokens the model generated.")
    total_tokens: int | None = Field(None, description="Prompt and completion tokens together.")
    cached_input_tokens: int | None = Field(
        None, description="Prompt tokens served from the provider's cache; null if it does not tell."
    )
    cache_write_tokens: int | None = Field(
        None, description="Prompt tokens written to the provider's cache; null if it does not tell."
    )
    reasoning_tokens: int | None = Field(
        None,
        description="Tokens spent on reasoning, within the completion; null if the provider does not tell.",
    )
