"""Names on the wire: event types, short names, and the source that tells organization and agent."""

import re
from functools import lru_cache
from itertools import pairwise
from typing import Final
from urllib.parse import quote, unquote

TYPE_PREFIX: Final = "com.letta."
GATEWAY_TYPE_PREFIX: Final = "com.letta.gateway."
"""Types of the gateway's own facts; nobody else may send them."""

STEP_COMPLETED: Final = "agent.step.completed"
STEP_FAILED: Final = "agent.step.failed"
MESSAGE_SENT: Final = "agent.message.sent"
TOOL_ATTACHED: Final = "agent.tool.attached"
TOOL_DETACHED: Final = "agent.tool.detached"
RUN_COMPLETED: Final = "agent.run.completed"
JOB_COMPLETED: Final = "agent.job.completed"
TOOL_EXECUTION_COMPLETED: Final = "tool.execution.completed"

SHORT_NAMES: Final = (
    STEP_COMPLETED,
    STEP_FAILED,
    MESSAGE_SENT,
    TOOL_ATTACHED,
    TOOL_DETACHED,
    RUN_COMPLETED,
    JOB_COMPLETED,
    TOOL_EXECUTION_COMPLETED,
)

_SEPARATOR = re.compile(r"[/:?#]")
_SOURCE = re.compile(r"(?:.*/)?organizations/(?P<organization>[^/?#]+)(?:/agents/(?P<agent>[^/?#]+))?")
_REMEMBERED_CHARS_MAX: Final = 512


def type_of(short: str) -> str:
    """Return the CloudEvents type of a short name."""
    return TYPE_PREFIX + short


def short_of(type: str) -> str | None:  # noqa: A002  (the attribute's own name)
    """Return the short name of one of Letta's types, or None for any other type."""
    short = type.removeprefix(TYPE_PREFIX)
    return short if short in SHORT_NAMES and short != type else None


def source_of(base: str, organization_id: str, agent_id: str | None = None) -> str:
    """Return the source of an event: `{base}/organizations/{organization}/agents/{agent}`.

    Without an agent it ends at the organization. Ids are percent-encoded where a URI asks for it.

    Raises:
        ValueError: An id is empty.
    """
    if not organization_id or agent_id == "":
        raise ValueError("an organization or agent id must not be empty")
    source = f"{base.rstrip('/')}/organizations/{quote(organization_id, safe='')}"
    return source if agent_id is None else f"{source}/agents/{quote(agent_id, safe='')}"


def parse_source(source: str) -> tuple[str, str | None] | None:
    """Read organization and agent from a source under any base.

    Returns:
        The two ids, agent None where the source ends at the organization; None if it is not such a source.
    """
    return _parse(source) if len(source) <= _REMEMBERED_CHARS_MAX else _parse.__wrapped__(source)


def organizations_in(source: str) -> list[str]:
    """Every organization that a source names, wherever in it that is, and however its letters are written."""
    segments = [unquote(segment) for segment in _SEPARATOR.split(source)]
    return [name for word, name in pairwise(segments) if word == "organizations" and name]


@lru_cache(maxsize=4096)  # an agent is the source of all its events
def _parse(source: str) -> tuple[str, str | None] | None:
    match = _SOURCE.fullmatch(source)
    if match is None:
        return None
    try:
        organization = unquote(match["organization"], errors="strict")
        agent = match["agent"] and unquote(match["agent"], errors="strict")
    except UnicodeDecodeError:
        return None
    return organization, agent
