"""Errors of the registry, typed as xRegistry 1.0-rc4 types them, beside what every problem of this API has."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gateway.errors import FieldError, RequestError

FORMAT = "JsonSchema/draft/2020-12"
_SPECIFICATION = "https://github.com/xregistry/spec/blob/main/core/"


class RegistryError(RequestError):
    """A request to the registry cannot be served.

    Args:
        subject: The entity or the path that it is about, relative to the registry's root.
        detail: What happened, where the title does not say it all.
        hint: What to do about it.
        fields: Every offending place.
        args: What the title is completed with.
    """

    kind: ClassVar[str]
    page: ClassVar[str] = "spec.md"
    sentence: ClassVar[str]

    def __init__(
        self,
        subject: str,
        detail: str = "",
        *,
        hint: str | None = None,
        fields: Sequence[FieldError] = (),
        **args: str,
    ) -> None:
        self.subject = subject
        self.args_said = args
        self._title = self.sentence.format(subject=subject, **args)
        super().__init__(detail or self._title, hint=hint, fields=fields)

    @property
    def problem_type(self) -> str:
        """See ``GatewayError.problem_type``."""
        return f"{_SPECIFICATION}{self.page}#{self.kind}"

    def problem(self) -> Mapping[str, Any]:
        """The body of the answer: RFC 9457 with xRegistry's members."""
        return {**super().problem(), "title": self._title, "subject": self.subject, "args": self.args_said}


class EntityNotFound(RegistryError):
    """There is no group, schema or version at the path."""

    kind = "not_found"
    status = 404
    sentence = "The targeted entity ({subject}) cannot be found."


class ApiNotFound(RegistryError):
    """The path is none of this registry's."""

    kind, page = "api_not_found", "http.md"
    status = 404
    sentence = "The specified API is not supported: {subject}."


class ActionNotSupported(RegistryError):
    """The path has no such method."""

    kind = "action_not_supported"
    status = 405
    sentence = "The specified action ({action}) is not supported for: {subject}."


class CompatibilityViolation(RegistryError):
    """A new version breaks what the versions of its type promise each other (CONFORMANCE 44)."""

    kind = "compatibility_violation"
    status = 409
    sentence = (
        'The request would cause one or more Versions of "{subject}" to violate its compatibility '
        "rule ({compat})."
    )
    default_hint = (
        "Keep to what older versions promise, or register what breaks them as a new type, such as …v2."
    )


class CompatibilityUnknown(RegistryError):
    """A mode of compatibility that is not kept here."""

    kind = "compatibility_unknown"
    sentence = (
        'The compatibility value ({compat}) on Resource "{subject}" is not supported for format "{format}".'
    )
    default_hint = "Use forward_transitive, full_transitive or none."


class FormatViolation(RegistryError):
    """The document is no JSON Schema that can be a contract."""

    kind = "format_violation"
    sentence = 'The request would cause Version "{subject}" to be non-compliant with its "format" ({format}).'


class MalformedId(RegistryError):
    """An id that no group or schema can have."""

    kind = "malformed_id"
    sentence = 'The specified "id" value ({id}) is malformed: {error_detail}.'


class MismatchedId(RegistryError):
    """A header names another entity than the path."""

    kind = "mismatched_id"
    sentence = (
        'The specified "{singular}id" value ({invalid_id}) needs to be "{expected_id}" for "{subject}".'
    )


class UnknownAttribute(RegistryError):
    """A header sets an attribute that the model does not have."""

    kind = "unknown_attribute"
    sentence = 'An unknown attribute ({name}) was specified for "{subject}".'


class InvalidAttribute(RegistryError):
    """An attribute has a value that it cannot have here."""

    kind = "invalid_attribute"
    sentence = 'The attribute "{name}" for "{subject}" is not valid: {error_detail}.'


class MissingBody(RegistryError):
    """A version was posted without its document."""

    kind, page = "missing_body", "http.md"
    sentence = "The request is missing an HTTP body - try '{{}}'."
    default_hint = "Send the JSON Schema as the body."


class BadInline(RegistryError):
    """`?inline` names something that cannot be inlined."""

    kind = "bad_inline"
    sentence = "The specified inline value ({inline_path}) is not valid for {subject}."
