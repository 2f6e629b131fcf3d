"""Reading a subscription from outside: all of its faults at once, each with a pointer and a sentence.

The resource is that of the CloudEvents Subscriptions API (section 3.2.1) with the `config` of INTERFACE.md;
CONFORMANCE 36, 38; S11g. What is specified and not built yet is refused here by name, never accepted and
forgotten.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from gateway.domain.config_input import parse_config
from gateway.domain.filters import Filters, parse_filters
from gateway.domain.members import Members
from gateway.domain.signing import check_secret
from gateway.domain.sink_input import (
    check_pull_only,
    parse_credential,
    parse_headers,
    parse_protocol,
    parse_sink,
)
from gateway.domain.subscription import SubscriptionSpec
from schemas import Problem
from schemas.uri import is_reference

SOURCE_CHARS_MAX: Final = 2048
TYPES_MAX: Final = 256
TYPE_CHARS_MAX: Final = 256
NAME_CHARS_MAX: Final = 200
DESCRIPTION_CHARS_MAX: Final = 2000
ORGANIZATION_CHARS_MAX: Final = 256
LABELS_MAX: Final = 32
LABEL_NAME_CHARS_MAX: Final = 64
LABEL_CHARS_MAX: Final = 256

WRITABLE: Final = (
    "name",
    "description",
    "labels",
    "organization",
    "source",
    "types",
    "filters",
    "config",
    "sink",
    "sinkcredential",
    "protocol",
    "protocolsettings",
    "secret",
)
READ_ONLY: Final = frozenset(
    {"state", "revision", "created_at", "updated_at", "public_key", "previous_public_keys", "handshake"}
)
"""Members that a view adds. A replacement may hand them back as it got them; elsewhere they are refused."""

_LABEL_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class SubscriptionInput:
    """A new subscription as asked for: its specification, and what belongs to the subscription beside it.

    Attributes:
        organization: The one named; None: the token's.
        secret: The subscriber's own signing secret; None: one is made.
    """

    spec: SubscriptionSpec
    organization: str | None
    secret: str | None = field(repr=False)


def parse_subscription(value: object) -> tuple[SubscriptionInput | None, list[Problem]]:
    """Read the body of the POST that makes a subscription, None where there are problems; `id` is ignored."""
    problems: list[Problem] = []
    members = Members(value, "", problems, allowed=WRITABLE, ignored={"id"})
    spec = _spec(members, problems)
    organization = members.text("organization", ORGANIZATION_CHARS_MAX)
    secret = _secret(members, problems)
    if problems or spec is None:
        return None, problems
    return SubscriptionInput(spec, organization, secret), []


def parse_replacement(
    value: object, *, previous: SubscriptionSpec, organization: str
) -> tuple[SubscriptionSpec | None, list[Problem]]:
    """Read the body of a PUT: the whole resource, members of a view included, `start` as it was or absent."""
    problems: list[Problem] = []
    members = Members(value, "", problems, allowed=WRITABLE, ignored={"id", *READ_ONLY})
    return _revised(members, problems, previous, organization)


def parse_patch(
    patch: object, *, previous: SubscriptionSpec, organization: str
) -> tuple[SubscriptionSpec | None, list[Problem]]:
    """Read the body of a PATCH: a merge patch (RFC 7396) over the resource as it is, credential included."""
    problems: list[Problem] = []
    if not isinstance(patch, dict):
        return None, [Problem("", "must be a JSON object: a merge patch (RFC 7396)")]
    merged = merge_patch(previous.to_json(), patch)
    members = Members(merged, "", problems, allowed=WRITABLE, ignored={"id"})
    return _revised(members, problems, previous, organization)


def merge_patch(target: object, patch: object) -> object:
    """The target with a merge patch applied (RFC 7396, section 2); neither argument is changed."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def _revised(
    members: Members, problems: list[Problem], previous: SubscriptionSpec, organization: str
) -> tuple[SubscriptionSpec | None, list[Problem]]:
    """A specification that takes the place of another."""
    spec = _spec(members, problems, previous)
    if members.get("organization") not in (None, organization):
        members.fault("organization", "cannot be changed; make another subscription")
    if members.get("secret") is not None:
        members.fault("secret", "cannot be changed; make another subscription for another secret")
    return (None, problems) if problems else (spec, [])


def _spec(
    members: Members, problems: list[Problem], previous: SubscriptionSpec | None = None
) -> SubscriptionSpec | None:
    sink = parse_sink(members)
    spec = SubscriptionSpec(
        sink=sink or "",
        source=_source(members),
        types=members.texts("types", TYPES_MAX, TYPE_CHARS_MAX),
        filters=_filters(members, problems),
        config=parse_config(
            members.get("config"),
            members.at("config"),
            problems,
            None if previous is None else previous.config,
        ),
        protocol=parse_protocol(members),
        headers=parse_headers(members, problems, None if previous is None else previous.headers),
        credential=parse_credential(members, problems),
        name=members.text("name", NAME_CHARS_MAX),
        description=members.text("description", DESCRIPTION_CHARS_MAX, lines=True),
        labels=_labels(members, problems),
    )
    if spec.pull_only:
        check_pull_only(members, problems, spec.config)
    return None if sink is None else spec


def _source(members: Members) -> str | None:
    source = members.text("source", SOURCE_CHARS_MAX)
    if source is not None and not is_reference(source):
        members.fault("source", "must be a URI-reference (RFC 3986), as in the events' `source`")
    return source


def _filters(members: Members, problems: list[Problem]) -> Filters:
    if members.get("filters") is None:
        return Filters()
    filters, found = parse_filters(members.get("filters"), members.at("filters"))
    problems += found
    return filters


def _labels(members: Members, problems: list[Problem]) -> Mapping[str, str]:
    value = members.get("labels")
    if value is None:
        return MappingProxyType({})
    if not isinstance(value, dict) or len(value) > LABELS_MAX:
        members.fault("labels", f"must be an object of at most {LABELS_MAX} names and strings")
        return MappingProxyType({})
    inside = Members(value, members.at("labels"), problems, allowed=value)
    for name in value:
        if len(name) > LABEL_NAME_CHARS_MAX or not _LABEL_NAME.fullmatch(name):
            inside.fault(
                name, f"a name is 1 to {LABEL_NAME_CHARS_MAX} letters and digits, `._/-` between them"
            )
    found = {name: inside.text(name, LABEL_CHARS_MAX) for name in value}
    return MappingProxyType({name: text for name, text in found.items() if text is not None})


def _secret(members: Members, problems: list[Problem]) -> str | None:
    value = members.get("secret")
    if value is None:
        return None
    problem = check_secret(value if isinstance(value, str) else "", members.at("secret"))
    if problem is not None:
        problems.append(problem)
    return value if isinstance(value, str) else None
