"""The pure parts of the report: what is made of values, how little HTTP is read, and how a page looks."""

import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "report"))

from paired import figures, messages, rendering, wire

from gateway.domain.signing import Signer
from schemas import parse_structured
from schemas.signatures import BadSignature

SECRET = "whsec_" + "bGV0dGEtZ2F0ZXdheS1iZW5jaC1zZWNyZXQtMzJieXQ="
BODY = b'{"data":{"sent_at_us":"0000000000001234"}}'


def request(body: bytes, *headers: tuple[str, str], length: str = "Content-Length") -> bytes:
    lines = [b"POST /hook HTTP/1.1", *(f"{name}: {value}".encode() for name, value in headers)]
    return b"\r\n".join([*lines, f"{length}: {len(body)}".encode(), b"", body])


@pytest.mark.parametrize(("share", "found"), [(0.5, 5), (0.99, 10), (0.0, 1), (1.0, 10), (0.51, 6)])
def test_a_percentile_is_the_nearest_rank(share, found):
    assert figures.percentile(range(1, 11), share) == found


def test_a_percentile_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="nothing"):
        figures.percentile([], 0.5)


def test_latencies_are_told_in_milliseconds():
    assert figures.latency_ms(range(100_000, 0, -1_000)) == (50.0, 99.0)


def test_a_summary_keeps_what_it_is_of():
    assert figures.summary([3, 1, 2]) == {"median": 2, "min": 1, "max": 3, "values": [3, 1, 2]}


def test_figures_that_a_round_lacks_are_summed_up_over_the_others():
    found = figures.summaries([{"a": 1.0, "b": 5.0}, {"a": 3.0}])
    assert found["a"]["median"] == 2.0
    assert found["b"]["values"] == [5.0]


def test_ratios_are_taken_within_a_round():
    # The second round was twice as slow for both; the median of the ratios does not see it.
    assert figures.ratios({0: 100.0, 1: 50.0, 2: 90.0}, {0: 50.0, 1: 25.0})["values"] == [2.0, 2.0]
    assert figures.ratios({0: 100.0}, {1: 50.0}) is None


def test_the_best_of_several_is_taken_within_a_round_too():
    assert figures.best_by_round([{0: 1.0, 1: 4.0}, {0: 2.0, 2: 3.0}]) == {0: 2.0, 1: 4.0, 2: 3.0}


def test_by_round_takes_one_figure():
    assert figures.by_round({0: {"a": 1.0}, 2: {"a": 2.0, "b": 3.0}}, "b") == {2: 3.0}


@pytest.mark.parametrize("length", ["Content-Length", "content-length"])
def test_a_request_ends_behind_its_body(length):
    whole = request(BODY, ("webhook-id", "dlv_a"), length=length)
    assert wire.request_end(whole, 0) == len(whole)
    assert wire.request_end(whole + whole[:5], len(whole)) == 0
    assert all(wire.request_end(whole[:cut], 0) == 0 for cut in range(len(whole)))


def test_requests_that_came_in_one_read_are_told_apart():
    buffer = b"".join(request(BODY, ("webhook-id", f"dlv_{number}")) for number in range(3))
    ends = [0]
    while ends[-1] < len(buffer):
        ends.append(wire.request_end(buffer, ends[-1]))
    assert [wire.webhook_id(buffer, *pair) for pair in pairwise(ends)] == [b"dlv_0", b"dlv_1", b"dlv_2"]
    assert wire.sent_at_us(buffer, 0, ends[1]) == 1234


def test_what_a_request_does_not_say_is_nothing():
    bare = request(b"{}")
    assert wire.webhook_id(bare, 0, len(bare)) == b""
    assert wire.sent_at_us(bare, 0, len(bare)) == 0


def test_signatures_are_checked_as_a_subscriber_does():
    signed = Signer([SECRET]).sign("dlv_a", 1_700_000_000, BODY)
    wire.verify(request(BODY, *signed), SECRET, 1_700_000_001)
    with pytest.raises(BadSignature):
        wire.verify(request(BODY + b" ", *signed), SECRET, 1_700_000_001)


def test_messages_are_events_of_the_asked_size_that_differ_in_their_ids():
    made = messages.Messages(7, 600)
    first, second = (parse_structured(made.structured(number, 42)) for number in range(2))
    assert first.id != second.id
    assert first.id != parse_structured(messages.Messages(8, 600).structured(0)).id
    assert len(made.body(0)) == len(made.body(1)) == 600
    assert first.body is not None
    assert wire.sent_at_us(first.body, 0, len(first.body)) == 42
    assert made.structured(1, 42) in made.frame(1, 42)


def a_report(**more):
    summary = figures.summary
    row = {
        "title": "letta-gateway",
        "how": "",
        "peer": False,
        "figures": {"deliveries_per_s": summary([9.0])},
    }
    peer = {
        "title": "Queue",
        "how": "as it says",
        "peer": True,
        "figures": {"deliveries_per_s": summary([10_000.0, 20_000.0])},
    }
    return {
        "made_at": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
        "took_s": 1,
        "machine": {"cores": "2"},
        "parameters": {"events": 1000, "rounds": 2, "body_bytes": 600, "at_once": 64},
        "rows": {"gateway": row, "queue": peer},
        "gateway_divided_by": {"queue": summary([0.5, 1.5])},
        "goals": [{"what": "speed", "asked": "at least 1.0", "found": summary([0.5, 1.5])}],
        "others_share_of_machine": summary([0.25, 0.75]),
        "left_out": {"celery": {"title": "Celery", "why": "It is not here."}},
    } | more


def test_the_page_ranks_what_was_measured_and_says_what_was_not():
    page = rendering.markdown(a_report())
    queue = "| Queue | 15,000 (10,000 - 20,000) | 1.00x (0.50 - 1.50) | - | - | as it says |"
    assert queue in page
    assert page.index(queue) < page.index("| letta-gateway | 9 |")
    assert "| speed | at least 1.0 | 1.00 (0.50 - 1.50) |" in page
    assert "| taken by other processes meanwhile, % of all cores | 50 (25 - 75) |" in page
    assert "- Celery: It is not here." in page


def test_a_page_of_some_rows_leaves_out_the_rest():
    page = rendering.markdown(a_report(rows={}, left_out={}, goals=[]))
    assert "Enqueue to last receipt" not in page
    assert "Left out" not in page
