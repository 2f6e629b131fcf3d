"""A subscription as it is asked for: what it selects, where it goes, and how.

CloudEvents Subscriptions API, section 3.2.1, with the `config` of this gateway. Values only:
`subscription_input.py` reads them from outside, and by then every one is checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Self, TypeAlias
from urllib.parse import urlsplit

from gateway.domain.credentials import AccessToken, ClientCredentials, Credential, credential_from, present
from gateway.domain.filters import EVERYTHING, Filters, Selector, filters_from
from schemas.rfc3339 import timestamp

EVERY_ORGANIZATION: Final = "*"
PULL_SINK: Final = "pull:"
"""The sink of a subscription that is only read, at its stream, and never sent anything (S10b)."""


class Format(StrEnum):
    """How an event is put into a POST."""

    BINARY = "binary"
    STRUCTURED = "structured"
    BATCH = "batch"


class Ordering(StrEnum):
    """What order is promised (S4)."""

    NONE = "none"
    PARTITIONKEY = "partitionkey"


class Payload(StrEnum):
    """Whether the data goes along (S11d)."""

    FULL = "full"
    THIN = "thin"


class Signing(StrEnum):
    """Which Standard Webhooks signatures are made."""

    V1 = "v1"
    V1A = "v1a"


class Handshake(StrEnum):
    """Whether the sink must agree first (CONFORMANCE 29)."""

    OFF = "off"
    REQUIRED = "required"


class StartAt(StrEnum):
    """Where a stream begins, if neither at a position nor at a time."""

    NOW = "now"
    BEGINNING = "beginning"


Start: TypeAlias = StartAt | int | datetime
"""`now`, `beginning`, a position in the log, or a moment with its offset."""


@dataclass(frozen=True, slots=True)
class Config:
    """How the stream is delivered. None stands for the gateway's default."""

    format: Format = Format.BINARY
    batch_events_max: int | None = None
    batch_bytes_max: int | None = None
    batch_age_s: float | None = None
    ordering: Ordering = Ordering.NONE
    payload: Payload = Payload.FULL
    signing: tuple[Signing, ...] = (Signing.V1,)
    max_concurrency: int | None = None
    max_per_second: float | None = None
    timeout_s: float | None = None
    retry: tuple[float, ...] | None = None
    start: Start = StartAt.NOW
    handshake: Handshake = Handshake.OFF

    def to_json(self) -> dict[str, object]:
        """As in the resource; what is left to the gateway's default is left out."""
        members: dict[str, object] = {
            "format": self.format.value,
            "batch_events_max": self.batch_events_max,
            "batch_bytes_max": self.batch_bytes_max,
            "batch_age_s": self.batch_age_s,
            "ordering": self.ordering.value,
            "payload": self.payload.value,
            "signing": [one.value for one in self.signing],
            "max_concurrency": self.max_concurrency,
            "max_per_second": self.max_per_second,
            "timeout_s": self.timeout_s,
            "retry": None if self.retry is None else list(self.retry),
            "start": start_to_json(self.start),
            "handshake": self.handshake.value,
        }
        return present(members)

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> Self:
        """What `to_json` wrote."""
        retry = members.get("retry")
        return cls(
            format=Format(members["format"]),
            batch_events_max=members.get("batch_events_max"),
            batch_bytes_max=members.get("batch_bytes_max"),
            batch_age_s=members.get("batch_age_s"),
            ordering=Ordering(members["ordering"]),
            payload=Payload(members["payload"]),
            signing=tuple(Signing(one) for one in members["signing"]),
            max_concurrency=members.get("max_concurrency"),
            max_per_second=members.get("max_per_second"),
            timeout_s=members.get("timeout_s"),
            retry=None if retry is None else tuple(retry),
            start=start_from_json(members["start"]),
            handshake=Handshake(members["handshake"]),
        )


WITHHELD: Final = "***"
"""Stands for the value of a header that is not shown; given back, it stands for the value that there was."""


def _none() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SubscriptionSpec:
    """What a subscriber asked for, at one revision.

    Organization and signing secret belong to the subscription itself and not to a revision, so they are not
    here.
    """

    sink: str = field(repr=False)
    source: str | None = None
    types: tuple[str, ...] = ()
    filters: Filters = EVERYTHING
    config: Config = Config()
    protocol: str = "HTTP"
    headers: Mapping[str, str] = field(default_factory=_none, repr=False)
    credential: Credential | None = None
    name: str | None = None
    description: str | None = None
    labels: Mapping[str, str] = field(default_factory=_none)

    @property
    def pull_only(self) -> bool:
        """Whether nothing is ever sent: its events are fetched (S10b)."""
        return self.sink == PULL_SINK

    @property
    def signs_v1a(self) -> bool:
        """Whether Ed25519 signatures go along."""
        return Signing.V1A in self.config.signing

    @property
    def destinations(self) -> tuple[str, ...]:
        """Every URL that is connected to for it: whoever moves one does not inherit what was opened to it (S11b)."""
        return (self.sink,) if self.token_url is None else (self.sink, self.token_url)

    @property
    def bearer_token(self) -> str | None:
        """The subscriber's own token for the `Authorization` header; None: there is none, or it is fetched."""
        return self.credential.token if isinstance(self.credential, AccessToken) else None

    @property
    def token_url(self) -> str | None:
        """Where a token for the sink is fetched; None: it is not."""
        return self.credential.token_url if isinstance(self.credential, ClientCredentials) else None

    @property
    def sent_secrets(self) -> tuple[str, ...]:
        """What is sent along and must not be shown: the values of headers, token or client's secret (S11g)."""
        credential = self.credential
        if credential is None:
            return tuple(self.headers.values())
        secret = credential.token if isinstance(credential, AccessToken) else credential.client_secret
        return (*self.headers.values(), secret)

    def selector(self, organization: str) -> Selector:
        """What it selects, within its organization (S11a)."""
        return selector_from(self.selection_json(), organization)

    def selection_json(self) -> dict[str, object]:
        """The part that decides what it gets, as a fact carries it (S1d); `selector_from` reads it."""
        return {"source": self.source, "types": list(self.types), "filters": self.filters.to_json()}

    def to_json(self) -> dict[str, object]:
        """The resource whole, credential included: for the vault, and to merge a patch into."""
        credential = None if self.credential is None else self.credential.to_json()
        return self._resource(credential, self.headers)

    def view(self) -> dict[str, object]:
        """The resource as it may be shown: without what is write-only. Many a header's value is a key."""
        credential = None if self.credential is None else self.credential.view()
        return self._resource(credential, dict.fromkeys(self.headers, WITHHELD))

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> Self:
        """What `to_json` wrote."""
        credential = members.get("sinkcredential")
        return cls(
            sink=members["sink"],
            source=members.get("source"),
            types=tuple(members.get("types", ())),
            filters=filters_from(members.get("filters", [])),
            config=Config.from_json(members["config"]),
            protocol=members["protocol"],
            headers=MappingProxyType(dict(members.get("protocolsettings", {}).get("headers", {}))),
            credential=None if credential is None else credential_from(credential),
            name=members.get("name"),
            description=members.get("description"),
            labels=MappingProxyType(dict(members.get("labels", {}))),
        )

    def _resource(
        self, credential: Mapping[str, object] | None, headers: Mapping[str, str]
    ) -> dict[str, object]:
        members: dict[str, object] = {
            "name": self.name,
            "description": self.description,
            "labels": dict(self.labels) or None,
            "source": self.source,
            "types": list(self.types) or None,
            "filters": self.filters.to_json() or None,
            "sink": self.sink,
            "sinkcredential": credential,
            "protocol": self.protocol,
            "protocolsettings": {"headers": dict(headers)} if headers else None,
            "config": self.config.to_json(),
        }
        return present(members)


def selector_from(selection: Mapping[str, Any], organization: str) -> Selector:
    """The selection that `SubscriptionSpec.selection_json` wrote; organization `*` means all of them."""
    return Selector(
        source=selection["source"],
        types=tuple(selection["types"]),
        filters=filters_from(selection["filters"]),
        organization=None if organization == EVERY_ORGANIZATION else organization,
    )


def sink_origin(sink: str) -> str:
    """Scheme, host and port of a sink: as much of it as a fact may carry (S1d). Empty where it is no URL."""
    if sink == PULL_SINK:
        return sink
    try:
        parts = urlsplit(sink)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if not parts.scheme or not host:
        return ""
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + ("" if port is None else f":{port}")


def start_to_json(start: Start) -> str | int:
    """A start as it is written."""
    if isinstance(start, datetime):
        return timestamp(start)
    return start.value if isinstance(start, StartAt) else start


def start_from_json(value: str | int) -> Start:
    """A start as it is written; raises ValueError for another text."""
    if isinstance(value, int):
        return value
    return StartAt(value) if value in set(StartAt) else datetime.fromisoformat(value)
