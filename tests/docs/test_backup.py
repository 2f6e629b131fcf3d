"""A log restored from an older copy, by the commands of the page on operations, and the receiver's side of it (S3a).

The receiver is the handler of the quickstart: it verifies, drops by `webhook-id` what it has had, and stores the rest.
"""

from collections.abc import Callable
from typing import Any

import pytest
from flow_fixtures import Gateway
from pages import ROOT, Block, blocks_of
from place import Place
from place import event as event_of

KIND = "org.example.kept"
BACKUP, RESTORE, REPLAY = "sqlite3 .gateway", "rm -f .gateway", "letta-gateway subscriptions replay sub_…"


def event(event_id: str) -> dict[str, Any]:
    return event_of(event_id, KIND)


def block_that_begins(words: str) -> Block:
    (found,) = (it for it in blocks_of(ROOT / "docs/operations.md") if it.text.startswith(words))
    return found


@pytest.fixture
def handler() -> dict[str, Any]:
    """The names of the quickstart's block that receives: `on_post`, and `seen`."""
    (block,) = (
        it
        for it in blocks_of(ROOT / "docs/quickstart.md")
        if it.language == "python" and "on_post" in it.text
    )
    names: dict[str, Any] = {}
    exec(block.text, names)  # noqa: S102 - the code of our own docs
    # What the handler would have to work on is what it parses.
    names["stored"] = []
    names["parse_event"] = lambda body, _headers: names["stored"].append(body)
    return names


@pytest.fixture
def own_place(tmp_path, receiver, until):
    place = Place(tmp_path, Gateway(tmp_path / ".gateway", {"GATEWAY_UNKNOWN_TYPES": "refuse"}), receiver)
    place.settle(until)
    yield place
    place.gateway.end()


def test_an_older_copy_is_restored_and_receivers_drop_what_they_have(
    own_place: Place, receiver: Any, handler: dict[str, Any], until: Callable[..., Any]
) -> None:
    gateway, sink = own_place.gateway, receiver.sink()
    made = gateway.subscribe(sink, types=[KIND])
    own_place.names["sub_…"] = made["id"]
    handled = []

    def handle(posts: list[Any]) -> list[bool]:
        """Give the receiver what came since the last time; says which of it was stored."""
        new = []
        for post in posts[len(handled) :]:
            before = len(handler["stored"])
            assert handler["on_post"](made["secret"], post.headers, post.body) == 200
            new.append(len(handler["stored"]) > before)
            handled.append(post)
        return new

    kept = gateway.publish(event("kept-1"), event("kept-2"))
    sink.wait(2)
    for position in kept:
        gateway.settled(position, "delivered")
    own_place.run(block_that_begins(BACKUP).text)
    (lost,) = gateway.publish(event("lost"))
    assert handle(sink.wait(3)) == [True, True, True]
    of_lost = sink.posts[-1].webhook_id
    gateway.settled(lost, "delivered")

    own_place.run(block_that_begins(RESTORE).text)
    assert gateway.client.get(f"/v1/events/{lost}").status_code == 404
    assert gateway.client.get(f"/v1/events/{kept[-1]}").status_code == 200

    # Another event at the position that the lost one had: no receiver takes it for that.
    (other,) = gateway.publish(event("other"))
    assert other == lost
    assert handle(sink.wait(4)) == [True]
    assert sink.posts[-1].webhook_id != of_lost

    # The lost one comes in again: under another id, with the same source and id of its own.
    (again,) = gateway.publish(event("lost"))
    assert again > lost
    (post,) = sink.wait(5)[4:]
    assert handle(sink.posts) == [True]
    assert (post.webhook_id != of_lost, post.event_id) == (True, "lost")

    # A replay of all brings nothing new: each has the webhook-id that it had.
    own_place.run(block_that_begins(REPLAY).text)
    replayed = until(lambda: len(sink.posts) >= 9 and sink.posts[5:])
    assert {post.headers["x-letta-replay"] for post in replayed} == {"1"}
    assert sorted(post.event_id for post in replayed) == ["kept-1", "kept-2", "lost", "other"]
    assert handle(list(sink.posts)) == [False] * 4
