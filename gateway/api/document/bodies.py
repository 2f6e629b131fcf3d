"""The shapes of what the routes take, as models that are only described; `gateway.domain` reads them by hand."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.domain.config_input import (
    BATCH_AGE_S_MAX,
    BATCH_BYTES_MAX,
    BATCH_BYTES_MIN,
    BATCH_EVENTS_MAX,
    CONCURRENCY_MAX,
    PER_SECOND_MAX,
    RETRIES_MAX,
    RETRY_S_MAX,
    TIMEOUT_S_MAX,
    TIMEOUT_S_MIN,
)
from gateway.domain.sink_input import HEADERS_MAX, SINK_CHARS_MAX
from gateway.domain.subscription_input import (
    DESCRIPTION_CHARS_MAX,
    LABELS_MAX,
    NAME_CHARS_MAX,
    ORGANIZATION_CHARS_MAX,
    SOURCE_CHARS_MAX,
    TYPES_MAX,
)
from schemas import SHORT_NAMES

Secret = Annotated[str, Field(pattern="^whsec_", examples=["whsec_" + "A" * 43 + "="])]
Sink = Annotated[str, Field(min_length=1, max_length=SINK_CHARS_MAX, examples=["https://example.com/hooks"])]
Retry = Annotated[float, Field(ge=0, le=RETRY_S_MAX)]


class Body(BaseModel):
    """An object in a request; a member that it does not name is refused."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid", populate_by_name=True)


class Config(Body):
    """How a subscription is delivered."""

    format: Literal["binary", "structured", "batch"] | None = None
    """`binary` where left out."""
    batch_events_max: Annotated[int | None, Field(ge=1, le=BATCH_EVENTS_MAX)] = None
    batch_bytes_max: Annotated[int | None, Field(ge=BATCH_BYTES_MIN, le=BATCH_BYTES_MAX)] = None
    batch_age_s: Annotated[float | None, Field(ge=0, le=BATCH_AGE_S_MAX)] = None
    ordering: Literal["none", "partitionkey"] | None = None
    """`none` where left out."""
    payload: Literal["full", "thin"] | None = None
    """`thin`: structured, without `data`, with `dataref` to exactly those bytes."""
    signing: Annotated[list[Literal["v1", "v1a"]] | None, Field(min_length=1, max_length=2)] = None
    """`v1` is always among them; `v1a` adds Ed25519."""
    max_concurrency: Annotated[int | None, Field(ge=1, le=CONCURRENCY_MAX)] = None
    max_per_second: Annotated[float | None, Field(gt=0, le=PER_SECOND_MAX)] = None
    timeout_s: Annotated[float | None, Field(ge=TIMEOUT_S_MIN, le=TIMEOUT_S_MAX)] = None
    retry: Annotated[list[Retry] | None, Field(max_length=RETRIES_MAX)] = None
    """Delays in seconds, each ±20 %; `[]` is one attempt."""
    start: Literal["now", "beginning"] | Annotated[int, Field(ge=0)] | datetime | None = None
    """Where the stream begins; settled when it is made."""
    handshake: Literal["off", "required"] | None = None


class ProtocolSettings(Body):
    """How a request is made."""

    method: Literal["POST"] | None = None
    headers: Annotated[dict[str, str] | None, Field(max_length=HEADERS_MAX)] = None
    """Sent along with each POST, none of the reserved ones; write-only."""


class AccessToken(Body):
    """A bearer token for the sink; write-only."""

    credentialtype: Literal["ACCESSTOKEN"]
    accesstoken: Annotated[str, Field(min_length=1)]
    accesstokenexpiresutc: datetime | None = None
    accesstokentype: Literal["bearer"] | None = None


class ClientCredentials(Body):
    """What an access token for the sink is fetched with (RFC 6749, 4.4); the secret is write-only."""

    credentialtype: Literal["OAUTH2CLIENTCREDENTIALS"]
    tokenurl: Sink
    clientid: str
    clientsecret: str
    scope: str | None = None
    audience: str | None = None


class SubscriptionChange(Body):
    """What can be said of a subscription; `null` takes a member away (RFC 7396)."""

    name: Annotated[str | None, Field(max_length=NAME_CHARS_MAX)] = None
    description: Annotated[str | None, Field(max_length=DESCRIPTION_CHARS_MAX)] = None
    labels: Annotated[dict[str, str] | None, Field(max_length=LABELS_MAX)] = None
    source: Annotated[str | None, Field(max_length=SOURCE_CHARS_MAX)] = None
    types: Annotated[list[str] | None, Field(max_length=TYPES_MAX, examples=[["agent.step.completed"]])] = (
        None
    )
    """Short names or full ones; all but the gateway's own where left out."""
    filters: Annotated[
        list[dict[str, Any]] | None, Field(examples=[[{"exact": {"partitionkey": "agent-1"}}]])
    ] = None
    """CloudEvents filter dialects: `exact`, `prefix`, `suffix`, `all`, `any`, `not`; all of them must match."""
    sink: Sink | None = None
    """The URL that events are posted to, or `pull:`: nothing is sent, events are fetched."""
    sinkcredential: AccessToken | ClientCredentials | None = None
    protocol: Literal["HTTP"] | None = None
    protocolsettings: ProtocolSettings | None = None
    config: Config | None = None


class NewSubscription(SubscriptionChange):
    """A subscription as it is asked for (CloudEvents Subscriptions API)."""

    sink: Sink
    organization: Annotated[str | None, Field(max_length=ORGANIZATION_CHARS_MAX)] = None
    """The token's, where left out; an administrator's is then for every organization."""
    secret: Secret | None = None
    """The subscriber's own signing secret; one is made where left out."""
    id: Any = None
    """Passed over: the gateway gives the id."""


class Replacement(SubscriptionChange):
    """A subscription in its whole; what is left out returns to its default. What a view adds is passed over."""

    model_config = ConfigDict(extra="allow")

    sink: Sink
    sinkcredential: AccessToken | ClientCredentials | None = None
    """Given again, since it is write-only."""


class Resume(Body):
    """Where a stream goes on."""

    from_: Annotated[Literal["cursor", "now"], Field(alias="from")] = "cursor"


class Rotation(Body):
    """Which secret signs from now on."""

    secret: Secret | None = None
    """One is made where left out."""


class ReplayRequest(Body):
    """A range of the log, by positions or by times, both ends included."""

    from_position: Annotated[int | None, Field(ge=1)] = None
    """This, or `since`."""
    since: datetime | None = None
    until_position: Annotated[int | None, Field(ge=1)] = None
    until: datetime | None = None
    only: Literal["all", "failed"] | None = None
    dry_run: bool | None = None


class WebhookChange(Body):
    """A webhook; what a view adds is passed over."""

    model_config = ConfigDict(extra="allow")

    url: Sink
    events: Annotated[
        list[str] | None, Field(min_length=1, examples=[["agent.step.completed", "agent.run.completed"]])
    ] = None
    enabled: bool | None = None
    """`false`: it is paused, and what happens meanwhile is sent once it is enabled."""
    secret: Secret | None = None


WebhookChange.model_fields[
    "events"
].description = f"Short names; all where left out: {', '.join(SHORT_NAMES)}."
WebhookChange.model_rebuild(force=True)


class NewToken(Body):
    """A token as it is asked for: of one organization, or `"admin": true`."""

    name: Annotated[str | None, Field(max_length=NAME_CHARS_MAX)] = None
    admin: bool | None = None
    organization: Annotated[str | None, Field(max_length=ORGANIZATION_CHARS_MAX)] = None
    read_only: bool | None = None
    expires_at: datetime | None = None


class NewArchiving(Body):
    """Up to where the log is to be archived."""

    before_position: int | None = None
    before: datetime | None = None
    """This, or `before_position`, never both."""
    dry_run: bool | None = None
    """Say what would be archived, and archive nothing."""


class NewErasure(Body):
    """Whose data is to go: an agent's, or an organization's."""

    agent_id: str | None = None
    organization_id: str | None = None
    """This, or `agent_id`, never both."""
    dry_run: bool | None = None
    """Count, and erase nothing."""
