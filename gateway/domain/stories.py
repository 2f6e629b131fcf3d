"""What the facts say of each subscription, told from the first to the last: all that its projections hold, pure.

`letta-gateway rebuild` reads the log with this. What the facts do not carry (sinks, secrets, limits) is in the vault
and stays there; what became of deliveries is in the attempts (`outstanding.py`).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from gateway.domain import facts
from gateway.domain.filters import Selector
from gateway.domain.skips import Skip, added, skipped
from gateway.domain.subscription import selector_from
from schemas import GATEWAY_TYPE_PREFIX

ACTIVE: Final = "active"
DELETED: Final = "deleted"
RUNNING: Final = "running"
CANCELLED: Final = "cancelled"

_STATES: Final = {
    facts.SUBSCRIPTION_RESUMED: ACTIVE,
    facts.SUBSCRIPTION_PAUSED: "paused",
    facts.SUBSCRIPTION_DISABLED: "disabled",
    facts.SUBSCRIPTION_DELETED: DELETED,
}
_ENDS: Final = {facts.REPLAY_FINISHED: "finished", facts.REPLAY_CANCELLED: CANCELLED}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class BrokenStory(Exception):
    """A fact does not follow from those before it: the log is damaged, or was written by another version."""


class RevisionStory(NamedTuple):
    """A revision, the position behind which it counts, and its selection as it is stored."""

    revision: int
    position: int
    selection: str


class Ask(NamedTuple):
    """A retry by hand (S3h): how many attempts there were when it was asked for, and when that was."""

    attempts: int
    at_us: int


@dataclass(slots=True)
class Story:
    """One subscription, deleted or not.

    Attributes:
        skips: Ranges that a resume from now has left out: behind the first position, up to the second.
        asks: The last retry by hand of a delivery, by position.
        consent: Where the handshake with its sink stands, as the last fact about that has it.
    """

    number: int
    id: str
    organization: str
    privileged: bool
    start: int
    created_position: int
    created_at_us: int
    updated_at_us: int
    state: str = ACTIVE
    revisions: list[RevisionStory] = field(default_factory=list)
    skips: tuple[Skip, ...] = ()
    asks: dict[int, Ask] = field(default_factory=dict)
    consent: Mapping[str, Any] = field(default_factory=dict)

    @property
    def present(self) -> bool:
        """Whether it is not deleted."""
        return self.state != DELETED

    @property
    def revision(self) -> int:
        """The present revision."""
        return self.revisions[-1].revision

    def left_out(self, position: int) -> bool:
        """Whether an event here is none of its stream: before its start, or passed over by a resume from now."""
        return position <= self.start or skipped(self.skips, position)

    def selectors(self) -> Iterator[tuple[int, Selector]]:
        """Its selections with the position behind which each counts; the first one from the start on (S3d)."""
        for index, revision in enumerate(self.revisions):
            behind = self.start if index == 0 else revision.position
            yield behind, selector_from(json.loads(revision.selection), self.organization)

    @property
    def asks_for_facts(self) -> bool:
        """Whether it ever did: then facts about it are nobody's (S1e)."""
        return any(selector.gateway_types for _, selector in self.selectors())


@dataclass(slots=True)
class ReplayStory:
    """A replay (S5), by the position of the fact that asked for it. How far it has come is no matter of the log."""

    replay: int
    number: int
    revision: int
    from_position: int
    until_position: int
    only_failed: bool
    attempts_until: int
    requested_at_us: int
    state: str = RUNNING
    ended_at_us: int | None = None


class Stories:
    """All of them, by subscription number and by replay."""

    def __init__(self) -> None:
        self.subscriptions: dict[int, Story] = {}
        self.replays: dict[int, ReplayStory] = {}
        self._numbers: dict[str, int] = {}

    def tell(self, position: int, type_: str, subject: str, time: str, data: Mapping[str, Any]) -> None:
        """The next fact of the log; one that nothing is derived from is passed over. Raises BrokenStory."""
        kind, at_us = type_.removeprefix(GATEWAY_TYPE_PREFIX), micros_of(time)
        try:
            if kind == facts.SUBSCRIPTION_CREATED:
                self._create(position, subject, at_us, data)
            elif kind == facts.REPLAY_REQUESTED:
                self._request(position, at_us, data)
            elif kind in _ENDS:
                self._end(self.replays[data["replay"]], _ENDS[kind], at_us)
            elif subject in self._numbers:
                self._change(self.subscriptions[self._numbers[subject]], position, kind, at_us, data)
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenStory(f"the fact at position {position} does not follow: {error!r}") from error

    def _create(self, position: int, subject: str, at_us: int, data: Mapping[str, Any]) -> None:
        story = Story(
            number=data["number"],
            id=subject,
            organization=data["organization"],
            privileged=data["privileged"],
            start=data["start_position"],
            created_position=position,
            created_at_us=at_us,
            updated_at_us=at_us,
        )
        story.revisions.append(RevisionStory(1, position, _selection(data)))
        self.subscriptions[story.number] = story
        self._numbers[subject] = story.number

    def _change(self, story: Story, position: int, kind: str, at_us: int, data: Mapping[str, Any]) -> None:
        if kind in _STATES:
            story.state, story.updated_at_us = _STATES[kind], at_us
            if "skipped_after" in data:
                story.skips = added(story.skips, data["skipped_after"], position)
            if not story.present:
                self._forget(story, at_us)
        elif kind == facts.SUBSCRIPTION_UPDATED:
            story.revisions.append(RevisionStory(data["revision"], position, _selection(data)))
            story.privileged = data.get("privileged", story.privileged)
            story.updated_at_us, story.consent = at_us, data.get("consent", story.consent)
        elif kind.startswith(facts.HANDSHAKE):
            story.updated_at_us, story.consent = at_us, data["consent"]
        elif kind == facts.SUBSCRIPTION_SECRET_ROTATED:
            story.updated_at_us = at_us
        elif kind == facts.RETRY_REQUESTED and "attempts" in data:
            story.asks[data["position"]] = Ask(data["attempts"], at_us)

    def _forget(self, story: Story, at_us: int) -> None:
        """It is deleted: nothing of its stream is left, and its replays are over (S3h)."""
        story.asks.clear()
        story.skips = ()
        story.consent = {}
        for replay in self.replays.values():
            if replay.number == story.number:
                self._end(replay, CANCELLED, at_us)

    def _request(self, position: int, at_us: int, data: Mapping[str, Any]) -> None:
        self.replays[position] = ReplayStory(
            replay=position,
            number=data["number"],
            revision=data["revision"],
            from_position=data["from_position"],
            until_position=data["until_position"],
            only_failed=data["only_failed"],
            attempts_until=data["attempts_until"],
            requested_at_us=at_us,
        )

    @staticmethod
    def _end(replay: ReplayStory, state: str, at_us: int) -> None:
        if replay.state == RUNNING:
            replay.state, replay.ended_at_us = state, at_us


def micros_of(time: str) -> int:
    """A fact's time, as microseconds since the Unix epoch."""
    return (datetime.fromisoformat(time) - _EPOCH) // timedelta(microseconds=1)


def _selection(data: Mapping[str, Any]) -> str:
    """The selection of a fact in the words in which it is stored."""
    return json.dumps({name: data[name] for name in ("source", "types", "filters")})
