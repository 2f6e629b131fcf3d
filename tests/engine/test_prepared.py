"""Messages that are made ahead, several in a row, are those that each delivery would have made for itself."""

import os
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from gateway.deliver.posting import Posting
from gateway.deliver.request import AttemptContext, build_request
from gateway.deliver.terms import Terms
from gateway.deliver.world import AttemptPolicy, World
from gateway.domain.header_lines import HeaderLines
from gateway.domain.sending import OutboundRequest
from gateway.domain.signing import Signer, new_secret
from gateway.ports import Entry, Event, Kind
from otel.traceparent import TraceParent
from schemas import Envelope, build

SCHEMA = "https://gateway.example/registry/t"
SIGNER = Signer([new_secret(bytes(32))])
CONTEXT = AttemptContext(TraceParent("a" * 32, "b" * 16, sampled=True), 1_767_225_600)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=12)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["subject", "partitionkey", "extension", "dataschema", "traceparent", "tracestate"]),
    st.one_of(TEXTS, st.just("00-" + "a" * 32 + "-" + "b" * 16 + "-01"), st.just("a=b")),
)


def posting_with(as_sent: Any) -> Posting:
    policy = AttemptPolicy(5.0, as_sent, str)
    world = SimpleNamespace(sender=None, policy=policy, now=lambda: 0, random=os.urandom)
    return Posting(cast("World", world))


def terms_with(*, structured: bool, thin: bool = False) -> Terms:
    return Terms(
        *(1, 1, True, "https://sink.example/", structured, thin, None, (), HeaderLines(), SIGNER, (), None)
    )


def event_of(**attributes: str) -> Event:
    named = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"} | attributes
    envelope = build(named, {"n": 1})
    return Event(Entry(1, Kind.EVENT, "t", "/s", "1", None, 0, bytes(32), envelope.raw), envelope)


def request_of(event: Event, terms: Terms) -> OutboundRequest:
    assert event.envelope is not None
    return build_request(
        event, event.envelope, terms, CONTEXT, dataschema=SCHEMA, dataref_of=str, timeout_s=5.0
    )


@given(attributes=ATTRIBUTES, structured=st.booleans(), other=st.booleans())
def test_what_is_made_ahead_is_what_is_sent(
    attributes: dict[str, str], *, structured: bool, other: bool
) -> None:
    try:
        alone, ahead = event_of(**attributes), event_of(**attributes)
    except ValueError:
        return  # no event
    posting_with(lambda _entry, envelope: (envelope, SCHEMA)).prepare(
        [None, ahead], terms_with(structured=structured)
    )
    assert ahead.message is not None
    # Also to a subscriber who wants it in the other mode.
    assert request_of(ahead, terms_with(structured=other)) == request_of(alone, terms_with(structured=other))


def test_what_is_large_waits_for_its_own_turn() -> None:
    event = event_of(extension="x" * 9_000)
    posting_with(lambda _entry, envelope: (envelope, SCHEMA)).prepare([event], terms_with(structured=False))
    assert event.message is None


def test_nothing_is_made_for_one_that_wants_a_reference() -> None:
    event = event_of()
    posting = posting_with(lambda _entry, envelope: (envelope, SCHEMA))
    posting.prepare([event], terms_with(structured=False, thin=True))
    assert event.message is None


def test_one_that_cannot_be_made_holds_nobody_up() -> None:
    broken, sound = event_of(), event_of()

    def as_sent(entry: Entry, envelope: Envelope) -> tuple[Envelope, str | None]:
        if entry is broken.entry:
            raise KeyError("a contract")
        return envelope, SCHEMA

    posting_with(as_sent).prepare([broken, sound], terms_with(structured=False))
    assert broken.message is None
    assert sound.message is not None
