"""What the facts tell of a subscription, one after the other."""

import json

import pytest

from gateway.domain import facts
from gateway.domain.stories import Ask, BrokenStory, RevisionStory, Stories, Story, micros_of
from schemas import GATEWAY_TYPE_PREFIX

AT = "2026-01-01T00:00:00.000001Z"
LATER = "2026-01-01T00:00:01Z"
AT_US = 1_767_225_600_000_001
SELECTION = {"source": None, "types": ["a"], "filters": []}
CREATED = SELECTION | {"number": 1, "organization": "*", "start_position": 1, "privileged": True}


class Teller:
    """Tells facts at positions 1, 2, 3, …"""

    def __init__(self) -> None:
        self.stories, self.position = Stories(), 0

    def __call__(self, kind: str, time: str = LATER, **data: object) -> Story:
        self.position += 1
        self.stories.tell(self.position, GATEWAY_TYPE_PREFIX + kind, "sub_1", time, data)
        return self.stories.subscriptions[1]


@pytest.fixture
def tell() -> Teller:
    teller = Teller()
    teller(facts.SUBSCRIPTION_CREATED, AT, **CREATED)
    return teller


def test_a_time_is_exact() -> None:
    assert micros_of(AT) == AT_US


def test_created(tell: Teller) -> None:
    story = tell.stories.subscriptions[1]
    assert (story.id, story.organization, story.privileged, story.state) == ("sub_1", "*", True, "active")
    assert (story.start, story.created_position) == (1, 1)
    assert (story.created_at_us, story.updated_at_us) == (AT_US, AT_US)
    assert story.revisions == [RevisionStory(1, 1, json.dumps(SELECTION))]


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (facts.SUBSCRIPTION_PAUSED, "paused"),
        (facts.SUBSCRIPTION_DISABLED, "disabled"),
        (facts.SUBSCRIPTION_RESUMED, "active"),
        (facts.SUBSCRIPTION_DELETED, "deleted"),
    ],
)
def test_states(tell: Teller, kind: str, state: str) -> None:
    story = tell(kind)
    assert (story.state, story.present) == (state, state != "deleted")
    assert story.updated_at_us > AT_US


def test_updates_and_rotations_move_the_time_of_change(tell: Teller) -> None:
    story = tell(facts.SUBSCRIPTION_UPDATED, **SELECTION | {"revision": 2, "types": ["b"]})
    assert story.revision == 2
    assert [behind for behind, _ in story.selectors()] == [1, 2]
    story.updated_at_us = 0
    assert tell(facts.SUBSCRIPTION_SECRET_ROTATED).updated_at_us > 0


@pytest.mark.parametrize(
    "kind", [facts.SUBSCRIPTION_TEST, facts.BREAKER_OPENED, "subscription.of_the_future"]
)
def test_what_nothing_is_derived_from_changes_nothing(tell: Teller, kind: str) -> None:
    assert tell(kind, number=1).updated_at_us == AT_US


def test_a_resume_from_now_leaves_a_range_out(tell: Teller) -> None:
    for _ in range(5):
        tell(facts.SUBSCRIPTION_TEST)
    story = tell(facts.SUBSCRIPTION_RESUMED, skipped_after=4)
    assert [at for at in range(1, 10) if story.left_out(at)] == [1, 5, 6, 7]


def test_the_last_retry_by_hand_counts(tell: Teller) -> None:
    tell(facts.RETRY_REQUESTED, position=7, attempts=1)
    story = tell(facts.RETRY_REQUESTED, AT, position=7, attempts=3)
    assert story.asks == {7: Ask(3, AT_US)}


def test_replays_end_once_and_with_their_subscription(tell: Teller) -> None:
    asked = {"number": 1, "revision": 1, "from_position": 1, "until_position": 9, "only_failed": False}
    for _ in range(3):
        tell(facts.REPLAY_REQUESTED, **asked, attempts_until=0)
    tell(facts.REPLAY_FINISHED, AT, replay=2)
    tell(facts.REPLAY_CANCELLED, replay=2)
    tell(facts.REPLAY_CANCELLED, AT, replay=3)
    tell(facts.SUBSCRIPTION_DELETED)
    replays = tell.stories.replays
    assert {number: replay.state for number, replay in replays.items()} == {
        2: "finished",
        3: "cancelled",
        4: "cancelled",
    }
    assert replays[2].ended_at_us == AT_US


@pytest.mark.parametrize("missing", ["number", "organization", "start_position", "privileged", "types"])
def test_a_fact_that_says_too_little_is_named(missing: str) -> None:
    data = {name: value for name, value in CREATED.items() if name != missing}
    with pytest.raises(BrokenStory, match="position 1"):
        Teller()(facts.SUBSCRIPTION_CREATED, **data)


def test_who_asked_for_facts_once_is_watched_for_ever(tell: Teller) -> None:
    assert not tell.stories.subscriptions[1].asks_for_facts
    watching = SELECTION | {"types": ["com.letta.gateway.subscription.paused"]}
    tell(facts.SUBSCRIPTION_UPDATED, **watching, revision=2)
    assert tell(facts.SUBSCRIPTION_UPDATED, **SELECTION, revision=3).asks_for_facts
