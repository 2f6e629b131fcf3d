"""Every error that a user or a caller can cause: a class, a problem type, a sentence that says what to do.

One tree serves both faces. The API answers an error as `application/problem+json` (RFC 9457) from `slug`,
`status`, `title`, `detail` and `fields`; a command prints `str(error)` on stderr and exits with `exit_code`.
Wrong settings have an exception of their own beside them (`gateway.settings.SettingsError`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

PROBLEM_TYPE_BASE = "urn:letta-gateway:problem:"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One offending member of a request.

    Attributes:
        pointer: JSON Pointer (RFC 6901) into the body, or the name of a header or query parameter.
        detail: What is wrong there and what is allowed.
    """

    pointer: str
    detail: str


class GatewayError(Exception):
    """The root: something went wrong that has a name, a sentence and a way out.

    Args:
        detail: What happened, as a full sentence about this occurrence. Never contains a secret.
        hint: What to do about it; the class default serves where the occurrence adds nothing.
        fields: All offending members at once (RFC 9457, section 3's `errors` extension).
        retry_after_s: Seconds until another try makes sense; the API sends it as `Retry-After`.
    """

    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "The gateway could not do this"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    default_hint: ClassVar[str] = ""

    def __init__(
        self,
        detail: str,
        *,
        hint: str | None = None,
        fields: Sequence[FieldError] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = self.default_hint if hint is None else hint
        self.fields = tuple(fields)
        self.retry_after_s = retry_after_s

    @property
    def problem_type(self) -> str:
        """The stable `type` of RFC 9457: it names the class of error, never the occurrence."""
        return PROBLEM_TYPE_BASE + self.slug

    def __str__(self) -> str:
        lines = [f"{self.detail} {self.hint}".strip()]
        lines += [f"  {field.pointer}: {field.detail}" for field in self.fields]
        return "\n".join(lines)

    def problem(self) -> Mapping[str, Any]:
        """The body of an `application/problem+json` answer."""
        return {
            "type": self.problem_type,
            "title": self.title,
            "status": self.status,
            "detail": f"{self.detail} {self.hint}".strip(),
            "errors": [{"pointer": field.pointer, "detail": field.detail} for field in self.fields],
        }


# What a caller of the API can get wrong.


class RequestError(GatewayError):
    """The request cannot be served as it is."""

    slug = "bad-request"
    title = "The request is not valid"
    status = 400


class MalformedEvent(RequestError):
    """The body is no CloudEvent 1.0 (CloudEvents core 1.0.2, section 3)."""

    slug = "malformed-event"
    title = "Not a valid CloudEvent"
    default_hint = "Send a CloudEvents 1.0 event in binary, structured or batched mode."


class InvalidCursor(RequestError):
    """A `cursor` that no list of this gateway has given out."""

    slug = "invalid-cursor"
    title = "Unknown cursor"
    default_hint = "Pass the `next` of the page before it, unchanged, with the same filters."


class Unauthenticated(RequestError):
    """No token, or one that this gateway does not know (RFC 6750, section 3)."""

    slug = "unauthenticated"
    title = "A valid token is required"
    status = 401
    default_hint = "Send `Authorization: Bearer <token>` with a token of this gateway."


class InvalidToken(Unauthenticated):
    """A token was given, and it opens nothing: never known, expired or revoked (RFC 6750, section 3.1)."""


class Forbidden(RequestError):
    """The token is known and may not do this."""

    slug = "forbidden"
    title = "This token may not do that"
    status = 403
    default_hint = "Use a token that has the right, or ask an administrator for one."


class ReservedName(Forbidden):
    """The type or source belongs to the gateway's own facts (S1b)."""

    slug = "reserved-name"
    title = "Reserved type or source"
    default_hint = "Choose another type and source: these are written by the gateway alone."


class ForeignOrganization(Forbidden):
    """The token is bound to another organization than the event's."""

    slug = "foreign-organization"
    title = "Event of another organization"
    default_hint = "Publish with a token of that organization, or with an administrator's."


class NotFound(RequestError):
    """Nothing here by that name, or nothing this token may see."""

    slug = "not-found"
    title = "Not found"
    status = 404
    default_hint = "Check the id; a list shows what there is."


class Conflict(RequestError):
    """The state of the thing does not allow this now."""

    slug = "conflict"
    title = "Not possible in the present state"
    status = 409


class PositionAhead(Conflict):
    """A reader stands where the log has not come to: it was restored from an older backup (S3a), or is another one."""

    slug = "position-ahead"
    title = "Ahead of the log"
    default_hint = (
        "The log was restored from an older backup, or the position is of another gateway: begin again with an "
        "`after` that lies in this log."
    )


class Gone(RequestError):
    """It was there and has been deleted."""

    slug = "gone"
    title = "Deleted"
    status = 410


class Archived(RequestError):
    """The events that it needs were archived, and have left the log (S8)."""

    slug = "archived"
    title = "Archived"
    status = 410
    default_hint = "An administrator can put them back: `letta-gateway archive restore POSITION`."


class PreconditionFailed(RequestError):
    """`If-Match` does not match the present ETag (RFC 9110, section 13.1.1)."""

    slug = "precondition-failed"
    title = "Changed by somebody else meanwhile"
    status = 412
    default_hint = "Read it again and repeat the change with the new ETag."


class TooLarge(RequestError):
    """The event or batch is over the configured limit (CloudEvents core 1.0.2, section 5)."""

    slug = "too-large"
    title = "Too large"
    status = 413
    default_hint = (
        "Make it smaller, or raise GATEWAY_EVENT_BYTES_MAX, GATEWAY_BATCH_BYTES_MAX or _EVENTS_MAX."
    )


class UnsupportedFormat(RequestError):
    """A media type that the gateway does not know."""

    slug = "unsupported-format"
    title = "Unknown format"
    status = 415
    default_hint = (
        "Send application/json with ce- headers, application/cloudevents+json or "
        "application/cloudevents-batch+json."
    )


class InvalidRequest(RequestError):
    """Well-formed, and some of its members are not allowed; `fields` names all of them."""

    slug = "invalid-request"
    title = "Some members are not valid"
    status = 422


class KeyReused(InvalidRequest):
    """An `Idempotency-Key` came again with another body (draft-ietf-httpapi-idempotency-key-header, 2.7)."""

    slug = "idempotency-key-reused"
    title = "Idempotency key used for something else"
    default_hint = "Send what was sent with it before, or make another key."


class ContractBroken(InvalidRequest):
    """The data of the event does not fit the contract of its type."""

    slug = "contract-broken"
    title = "The data breaks its contract"
    default_hint = "`letta-gateway contracts show TYPE` prints the contract."


class StillQuarantined(InvalidRequest):
    """What was in quarantine was judged again, and still cannot be taken (S7b); it stays, with the new reasons."""

    slug = "still-quarantined"
    title = "Still not to be taken"
    default_hint = (
        "It stays in quarantine. Mend what refuses it (a contract, a limit, GATEWAY_UNKNOWN_TYPES) and try again, or "
        "publish the event anew as it should be, and discard this one."
    )


class SinkRefused(InvalidRequest):
    """The sink's address is one that this gateway does not connect to."""

    slug = "sink-refused"
    title = "Sink not allowed"
    default_hint = "Use a public host, or let an operator open its network with GATEWAY_ALLOW_NETWORKS."


class RateExceeded(RequestError):
    """More than the agent or the token may send in this time."""

    slug = "rate-exceeded"
    title = "Too many requests"
    status = 429
    default_hint = "Send again after the time in Retry-After."


class TooManyStreams(RequestError):
    """As many streams are open, or waited for, as this process keeps at once."""

    slug = "too-many-streams"
    title = "Too many streams"
    status = 429
    default_hint = "Close one that is not read any more, or try again after the time in Retry-After."


# What stands in the way of serving, starting or operating.


class Unavailable(GatewayError):
    """Something that the gateway needs cannot be reached now; the same request may succeed later."""

    slug = "unavailable"
    title = "Temporarily unavailable"
    status = 503
    default_hint = "Try again in a moment; /readyz says what is missing."


class OperationError(GatewayError):
    """A command or a start-up cannot go on."""

    slug = "operation-failed"
    title = "The operation failed"


class DatabaseInUse(OperationError):
    """Another process has the database open."""

    slug = "database-in-use"
    title = "Database in use"
    status = 503
    default_hint = "Stop the gateway that runs on it, then try again."


class LeaseLost(OperationError):
    """Another process has taken the log over (S6a): this one may not write, nor send, any more."""

    slug = "lease-lost"
    title = "Another gateway has taken over"
    status = 503
    default_hint = (
        "It was too long without the database, or stood still; start it again if it is to stand by."
    )


class DatabaseUnusable(OperationError):
    """The database cannot be opened, or is not a log of this gateway."""

    slug = "database-unusable"
    title = "Database not usable"
    status = 503
    default_hint = "Check GATEWAY_DATABASE_URL or --data-dir and its permissions."


class SchemaOutdated(OperationError):
    """The database has another schema revision than this code."""

    slug = "schema-outdated"
    title = "Other database schema"
    status = 503
    default_hint = "Run `letta-gateway migrate` with the version of the gateway that is to run on it."


class ArchiveUnusable(OperationError):
    """An archive, or the folder of the archives, cannot be read or written; or its file is missing, or damaged."""

    # Not 500: it is the state of one archive, which an administrator mends and then asks again.
    slug = "archive-unusable"
    title = "Archive not usable"
    status = 409
    default_hint = "Check GATEWAY_ARCHIVE_DIR, its owner and the space left, then run the command again."

    @classmethod
    def missing(cls, file: str) -> Self:
        """The error of an archive whose file is not where it should be."""
        detail = f"The file {file} is not in the folder of the archives."
        return cls(detail, hint="Put it back there, under its name, as it was.")


class CursorAhead(OperationError):
    """Cursors lie ahead of the log's head: the log was restored from an older backup (S3a)."""

    slug = "cursor-ahead"
    title = "The log is older than its cursors"
    default_hint = (
        "Restore the whole database from one backup; a gateway never delivers from a log that lost its end."
    )


class LogCut(OperationError):
    """The last row of the log is not the one that its head names: it lost its end, or is of two backups (S3a)."""

    slug = "log-cut"
    title = "The log lost its end"
    default_hint = (
        "Restore the whole database from one backup; `letta-gateway verify-log` says up to where this one is sound. "
        "Nothing is delivered from a log that lost its end, and nothing appended to it."
    )


class DataDirInUse(OperationError):
    """Another gateway runs on this data directory."""

    slug = "data-dir-in-use"
    title = "Data directory in use"
    default_hint = "Use that one, stop it, or choose another --data-dir."


class DataDirUnusable(OperationError):
    """The data directory, or a file in it, cannot be used."""

    slug = "data-dir-unusable"
    title = "Data directory not usable"
    default_hint = "Check the path of --data-dir, its owner and the space left."


class AddressInUse(OperationError):
    """The address to listen on is taken or not allowed."""

    slug = "address-in-use"
    title = "Address not available"
    default_hint = "Choose another --port, or 0 for a free one."


class EmbeddedRedisFailed(OperationError):
    """The embedded Redis does not start or does not stay up."""

    slug = "embedded-redis-failed"
    title = "Embedded Redis failed"
    default_hint = (
        "See redis/redis.log in the data directory, or set GATEWAY_REDIS_URL to a Redis of your own."
    )


class RedisUnreachable(OperationError):
    """The configured Redis does not answer."""

    slug = "redis-unreachable"
    title = "Redis not reachable"
    default_hint = "Check GATEWAY_REDIS_URL, or --redis-url, and that Redis runs there."


class RoleTaken(OperationError):
    """A second ingest or deliver process, which this version does not support."""

    slug = "role-taken"
    title = "Role already taken"
    default_hint = "One ingest and one deliver process serve a database; stop the other one first."


# What a command finds when it talks to a gateway.


class CommandError(GatewayError):
    """A command cannot do what it was asked."""

    slug = "command-failed"
    title = "The command failed"


class UsageError(CommandError):
    """The command was called in a way that cannot work."""

    slug = "usage"
    title = "Wrong usage"
    exit_code = 2


class NoServer(CommandError):
    """No gateway answers at the address."""

    slug = "no-server"
    title = "No gateway there"
    default_hint = (
        "Start one with `letta-gateway dev`, or set GATEWAY_URL and GATEWAY_API_TOKEN to one that runs."
    )


class AnswerError(CommandError):
    """The gateway answered, and the answer is a refusal or not a gateway's."""

    slug = "refused-by-server"
    title = "The gateway refused"


class NotNow(AnswerError):
    """The gateway answered that it cannot do this at the moment (429, 503); the same request may succeed later."""

    slug = "not-now"
    title = "The gateway cannot do this now"


class CheckFailed(CommandError):
    """A check ran to its end and found something wrong."""

    slug = "check-failed"
    title = "The check failed"
