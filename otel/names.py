"""The names of spans and attributes: OpenTelemetry's where it has one, ours under `letta_gateway.` where not.

Semantic conventions: HTTP client spans, messaging spans, CloudEvents (CONFORMANCE rows 40 and 41).
"""

from typing import Final

SERVICE: Final = "letta-gateway"
SCOPE: Final = "letta_gateway"
EMITTER_SCOPE: Final = "letta_emitter"

# Spans. What messages go through is named `{operation} {destination}`; a POST by its method alone.
EMIT: Final = "emit"
PUBLISH: Final = "publish"
RECEIVE: Final = "receive"
INGEST: Final = "ingest"
MATCH: Final = "match"
POST: Final = "POST"

# HTTP, of an attempt.
HTTP_METHOD: Final = "http.request.method"
HTTP_RESEND_COUNT: Final = "http.request.resend_count"
HTTP_STATUS: Final = "http.response.status_code"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
URL_FULL: Final = "url.full"
ERROR_TYPE: Final = "error.type"

# CloudEvents, of every span of one event.
EVENT_ID: Final = "cloudevents.event_id"
EVENT_SOURCE: Final = "cloudevents.event_source"
EVENT_SPEC_VERSION: Final = "cloudevents.event_spec_version"
EVENT_SUBJECT: Final = "cloudevents.event_subject"
EVENT_TYPE: Final = "cloudevents.event_type"

# Messaging, of the two hops before the log.
MESSAGING_BATCH_COUNT: Final = "messaging.batch.message_count"
MESSAGING_DESTINATION: Final = "messaging.destination.name"
MESSAGING_MESSAGE_ID: Final = "messaging.message.id"
MESSAGING_OPERATION: Final = "messaging.operation.name"
MESSAGING_OPERATION_TYPE: Final = "messaging.operation.type"
MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_BODY_SIZE: Final = "messaging.message.body.size"

# Ours.
POSITION: Final = "letta_gateway.position"
SUBSCRIPTION: Final = "letta_gateway.subscription.id"
SUBSCRIPTIONS: Final = "letta_gateway.subscriptions.matched"
DELIVERY: Final = "letta_gateway.delivery.id"
CAUSE: Final = "letta_gateway.attempt.cause"
DECISION: Final = "letta_gateway.attempt.decision"
BATCH: Final = "letta_gateway.batch.id"
TOLD_BY: Final = "letta_gateway.told_by"
"""`gateway`: a span of the emitter's part that the gateway tells, since the emitter's process makes no spans."""

# Of a link: what it leads to.
LINK: Final = "letta_gateway.link"
LINK_BEFORE: Final = "attempt_before"
LINK_EVENT: Final = "event"
LINK_REQUEST: Final = "request"
