"""What each route takes and answers, by method and path: the part of the document that no signature says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import BaseModel

from gateway.api.document import answers, bodies

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer.

    Attributes:
        description: In words.
        model: The shape of its body; None: there is none, or it is described by `media_types`.
        headers: Which headers it has, of those that `HEADERS` describes.
        media_types: What the body may be, where no shape of ours says it; with an object's schema, or none.
    """

    description: str
    model: type[BaseModel] | None = None
    headers: Sequence[str] = ()
    media_types: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route takes and answers.

    Attributes:
        answers: By status.
        body: The shape of the request's body; None: it takes none, or `CloudEvents`.
        body_required: Whether there has to be one.
        media_types: Of the body.
        problems: Statuses of problems beyond those that follow from the route's shape.
        conditional: Whether `If-Match` is honoured.
    """

    answers: Mapping[int, Answer]
    body: type[BaseModel] | None = None
    body_required: bool = True
    media_types: Sequence[str] = (JSON,)
    problems: Sequence[int] = ()
    conditional: bool = False


HEADERS: Final[Mapping[str, str]] = {
    "Location": "The path of what was made.",
    "ETag": "A strong validator, for `If-Match` and `If-None-Match`.",
    "Allow": "The methods of the resource.",
    "Link": 'The next page: `rel="next"`.',
    "Cache-Control": "How long it may be kept.",
}

_ONE: Final = "/v1/subscriptions/{subscription_id}"
_DELETED: Final = {204: Answer("It is gone.")}


def _ok(model: type[BaseModel], about: str, *headers: str) -> Mapping[int, Answer]:
    return {200: Answer(about, model, headers)}


def _read(model: type[BaseModel], about: str) -> Mapping[int, Answer]:
    return {200: Answer(about, model, ["ETag"]), 304: Answer("The reader has it.", headers=["ETag"])}


def _webhook(prefix: str) -> dict[tuple[str, str], Operation]:
    """The routes of one kind of webhook."""
    return {
        ("put", prefix): Operation(
            {
                200: Answer("Changed.", answers.Webhook, ["ETag"]),
                201: Answer("Made; the secret is shown this once.", answers.NewWebhook, ["ETag"]),
            },
            bodies.WebhookChange,
            conditional=True,
        ),
        ("get", prefix): Operation(_read(answers.Webhook, "The webhook."), problems=[404]),
        ("delete", prefix): Operation(_DELETED, problems=[404], conditional=True),
        ("post", f"{prefix}/test"): Operation(
            {202: Answer("A test event was appended; it is sent by and by.", answers.Commanded)},
            problems=[404, 409],
        ),
        ("get", f"{prefix}/deliveries"): Operation(_ok(answers.Deliveries, "A page."), problems=[404]),
        ("post", f"{prefix}/deliveries/{{delivery_id}}/retry"): Operation(
            {202: Answer("One more attempt is made now.", answers.Retried)}, problems=[409, 410]
        ),
    }


_REGISTRY: Final = ("ETag", "Link", "Cache-Control")
_ENTITY: Final = {"application/json": {"type": "object"}}
_TYPES: Final = {"application/typescript": {"type": "string"}, "text/x-python": {"type": "string"}}
_CONTRACT: Final = {"application/schema+json": {"type": "object"}} | _TYPES


def _registry() -> dict[tuple[str, str], Operation]:
    """The routes of the registry, whose entities are xRegistry's to describe."""
    schemas = "/registry/schemagroups/{group}/schemas"
    one = f"{schemas}/{{name}}"
    told: dict[str, Mapping[str, Mapping[str, object]]] = {
        "/registry": _ENTITY,
        "/registry/export": _ENTITY,
        "/registry/model": _ENTITY,
        "/registry/modelsource": _ENTITY,
        "/registry/capabilities": _ENTITY,
        "/registry/schemagroups": _ENTITY,
        "/registry/schemagroups/{group}": _ENTITY,
        schemas: _ENTITY | _TYPES,
        one: _CONTRACT | _ENTITY,
        f"{one}/meta": _ENTITY,
        f"{one}/versions": _ENTITY,
        f"{one}/versions/{{version}}": _CONTRACT | _ENTITY,
    }
    read = {
        ("get", path): Operation(
            {
                200: Answer("xRegistry 1.0-rc4.", headers=_REGISTRY, media_types=media_types),
                304: Answer("The reader has it.", headers=_REGISTRY),
            },
            problems=[400],
        )
        for path, media_types in told.items()
    }
    only_headers = {
        ("head", path): Operation({200: Answer("The headers of GET.", headers=_REGISTRY)}, problems=[400])
        for path in told
    }
    made = Answer(
        "The version, as it is served.", headers=["Location", "ETag", "Link"], media_types=_CONTRACT
    )
    known = Answer(
        "The newest version says the same already.", headers=["ETag", "Link"], media_types=_CONTRACT
    )
    register = Operation({200: known, 201: made}, problems=[400, 401, 405, 409, 413, 415, 422, 503])
    return read | only_headers | {("post", one): register}


OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    ("post", "/v1/events"): Operation(
        {202: Answer("They are in the log.", answers.Accepted)}, problems=[400, 403, 413, 415, 422, 429]
    ),
    ("get", "/v1/events"): Operation(_ok(answers.Events, "A page.")),
    ("get", "/v1/events/{position}"): Operation(_ok(answers.LogItem, "The entry."), problems=[410]),
    ("get", "/v1/events/{position}/deliveries"): Operation(
        _ok(answers.Deliveries, "A page."), problems=[410]
    ),
    ("get", "/v1/events/{position}/explain"): Operation(
        _ok(answers.Explanation, "The verdict, and why."), problems=[410]
    ),
    ("get", "/v1/events/{position}/trace"): Operation(_ok(answers.Trace, "The path."), problems=[410]),
    ("get", "/v1/events/stream"): Operation({}, problems=[409, 410, 429]),
    ("get", f"{_ONE}/stream"): Operation({}, problems=[409, 410, 429]),
    ("post", "/v1/subscriptions"): Operation(
        {201: Answer("Made; the secret is shown this once.", answers.NewSubscription, ["Location", "ETag"])},
        bodies.NewSubscription,
        problems=[409, 410],
    ),
    ("get", "/v1/subscriptions"): Operation(_ok(answers.Subscriptions, "A page.")),
    ("get", _ONE): Operation(_read(answers.Subscription, "The subscription.")),
    ("put", _ONE): Operation(
        _ok(answers.Subscription, "As it is now.", "ETag"), bodies.Replacement, conditional=True
    ),
    ("patch", _ONE): Operation(
        _ok(answers.Subscription, "As it is now.", "ETag"),
        bodies.SubscriptionChange,
        media_types=[JSON, "application/merge-patch+json"],
        conditional=True,
    ),
    ("delete", _ONE): Operation(_DELETED, conditional=True),
    ("options", _ONE): Operation({204: Answer("The methods.", headers=["Allow"])}),
    ("post", f"{_ONE}/pause"): Operation(
        _ok(answers.Subscription, "It stands still.", "ETag"), problems=[409], conditional=True
    ),
    ("post", f"{_ONE}/resume"): Operation(
        _ok(answers.Subscription, "It goes on.", "ETag"),
        bodies.Resume,
        body_required=False,
        problems=[409],
        conditional=True,
    ),
    ("post", f"{_ONE}/rotate-secret"): Operation(
        _ok(answers.RotatedSubscription, "It signs with another secret, shown this once.", "ETag"),
        bodies.Rotation,
        body_required=False,
        problems=[409],
        conditional=True,
    ),
    ("post", "/v1/subscriptions/import"): Operation(
        {201: Answer("All were made.", answers.Imported)},
        bodies.NewSubscription,
        media_types=[JSON, "application/x-ndjson"],
        problems=[413, 415],
    ),
    ("post", f"{_ONE}/test"): Operation(
        {202: Answer("A test event was appended; it is sent by and by.", answers.Commanded)}, problems=[409]
    ),
    ("post", f"{_ONE}/replay"): Operation(
        {
            200: Answer("The count of a dry run.", answers.ReplayCount),
            202: Answer("Commanded; it runs beside the live stream.", answers.Replay),
        },
        bodies.ReplayRequest,
        problems=[409, 410],
    ),
    ("get", f"{_ONE}/replays"): Operation(_ok(answers.Replays, "Those that run.")),
    ("get", f"{_ONE}/replays/{{replay_id}}"): Operation(_ok(answers.Replay, "The replay.")),
    ("delete", f"{_ONE}/replays/{{replay_id}}"): Operation(_DELETED),
    ("get", f"{_ONE}/stats"): Operation(_ok(answers.Statistics, "The figures.")),
    ("get", f"{_ONE}/deliveries"): Operation(_ok(answers.Deliveries, "A page.")),
    ("post", f"{_ONE}/validate"): Operation(
        {202: Answer("The sink is asked by and by; `handshake` says how it stands.", answers.Subscription)},
        problems=[409],
    ),
    ("get", "/v1/deliveries"): Operation(_ok(answers.Deliveries, "A page."), problems=[404]),
    ("get", "/v1/deliveries/{delivery_id}"): Operation(
        _ok(answers.Delivery, "The delivery."), problems=[410]
    ),
    ("post", "/v1/deliveries/{delivery_id}/retry"): Operation(
        {202: Answer("One more attempt is made now.", answers.Retried)}, problems=[409, 410]
    ),
    ("get", "/payloads/{delivery_id}"): Operation({}, problems=[410]),
    ("get", "/handshake/{token}"): Operation(_ok(answers.HandshakeGranted, "Agreed."), problems=[404]),
    ("post", "/handshake/{token}"): Operation(_ok(answers.HandshakeGranted, "Agreed."), problems=[404]),
    **_webhook("/v1/agents/{agent_id}/webhook"),
    **_webhook("/v1/organizations/{organization_id}/webhook"),
    **_webhook("/v1/webhook"),
    ("get", "/v1/quarantine"): Operation(_ok(answers.Quarantine, "A page, without what came in.")),
    ("get", "/v1/quarantine/{quarantine_id}"): Operation(
        _ok(answers.Quarantined, "The record, with what came in.")
    ),
    ("delete", "/v1/quarantine/{quarantine_id}"): Operation(_DELETED),
    ("post", "/v1/quarantine/{quarantine_id}/redrive"): Operation(
        _ok(answers.Redriven, "It is in the log."), problems=[409]
    ),
    ("post", "/v1/erasures"): Operation(
        {
            200: Answer("The counts of a dry run.", answers.ErasureCount),
            202: Answer("Commanded; its URL shows how far it is.", answers.Erasure, ["Location"]),
        },
        bodies.NewErasure,
        problems=[409],
    ),
    ("get", "/v1/erasures"): Operation(_ok(answers.Erasures, "A page.")),
    ("get", "/v1/erasures/{erasure_id}"): Operation(_ok(answers.Erasure, "The erasure.")),
    ("post", "/v1/archives"): Operation(
        {
            200: Answer("What a dry run finds.", answers.ArchivePlan),
            202: Answer("Commanded; its URL shows how far it is.", answers.Archiving, ["Location"]),
        },
        bodies.NewArchiving,
        problems=[409],
    ),
    ("get", "/v1/archives"): Operation(_ok(answers.Archives, "A page.")),
    ("get", "/v1/archives/runs/{run_id}"): Operation(_ok(answers.Archiving, "The archiving.")),
    ("get", "/v1/archives/{position}"): Operation(_ok(answers.Archive, "The archive.")),
    ("get", "/v1/archives/{position}/file"): Operation(
        {200: Answer("NDJSON, compressed by gzip.", media_types={"application/gzip": {}})}, problems=[409]
    ),
    ("post", "/v1/archives/{position}/restore"): Operation(
        _ok(answers.Archive, "Its events are in the log again."), problems=[409]
    ),
    ("post", "/v1/tokens"): Operation(
        {201: Answer("Made; the token is shown this once.", answers.NewToken, ["Location"])}, bodies.NewToken
    ),
    ("get", "/v1/tokens"): Operation(_ok(answers.Tokens, "A page.")),
    ("get", "/v1/tokens/{token_id}"): Operation(_ok(answers.Token, "The token.")),
    ("delete", "/v1/tokens/{token_id}"): Operation(_DELETED),
    ("post", "/v1/secrets/rotate-key"): Operation(_ok(answers.Resealed, "One batch.")),
    ("get", "/v1/secrets/keys"): Operation(_ok(answers.Keys, "The keys, by their ids.")),
    **_registry(),
    ("get", "/metrics"): Operation({}, problems=[401]),
    ("get", "/healthz"): Operation(_ok(answers.Health, "It serves.")),
    ("get", "/readyz"): Operation(
        {200: Answer("Ready.", answers.Ready), 503: Answer("Not ready.", answers.Ready)}
    ),
}
"""A route that has no line is described by its own signature alone."""
