"""The audit finds what it is there to find: sound books with one thing wrong in them."""

from dataclasses import replace

import pytest
from killing.audit import Audit
from killing.books import Attempt, Books, Entry, Replay, Stream
from killing.process import Life
from killing.receiver import Post

from gateway.domain.delivery import Decision

S = 1_000_000
SOURCE = "/chaos/http"


def entry(position: int, key: str | None = "k") -> Entry:
    return Entry(position, "event", "chaos.happened", SOURCE, f"e{position}", key, None)


def attempt(seq: int, position: int, at: float, **changes: object) -> Attempt:
    made = Attempt(
        seq=seq,
        number=1,
        position=position,
        attempt=1,
        round=0,
        cause="first",
        decision=Decision.DELIVERED,
        counts=False,
        status=200,
        started_at_us=int(at * S),
        duration_us=1_000,
        next_at_us=None,
        span=f"s{seq}",
        replay=None,
    )
    return replace(made, **changes)


def post(
    span: str, position: int, at: float, *, status: int = 200, digest: bytes = b"d", life: int | None = None
) -> Post:
    return Post(
        "ordered",
        f"dlv_{position}",
        span,
        ((SOURCE, f"e{position}"),),
        at,
        digest,
        replay=False,
        life=int(at > 10) if life is None else life,
        status=status,
        answered=at,
    )


def audit(
    attempts: list[Attempt],
    posts: list[Post],
    *,
    replays: tuple[Replay, ...] = (),
    pending: tuple[tuple[int, int], ...] = (),
) -> list[str]:
    rows: dict[tuple[int, int], list[Attempt]] = {}
    for row in attempts:
        rows.setdefault((row.number, row.position), []).append(row)
    stream = Stream(1, "ordered", "sub_1", 0, (), ordered=True)
    books = Books([entry(1), entry(2)], rows, list(replays), [stream], list(pending))
    # The first process is killed at 10 s, the second one ends in good order.
    lives = [Life(0, 10, killed=True), Life(10.1, 20)]
    return Audit(books, posts, lives).faults()


ATTEMPTS = [attempt(1, 1, 1), attempt(2, 2, 2)]
POSTS = [post("s1", 1, 1), post("s2", 2, 2)]
REPLAY = Replay(7, 1, 1, 2, only_failed=False, attempts_until=2, requested_at_us=2 * S, state="finished")


def test_sound_books_have_no_fault():
    assert audit(ATTEMPTS, POSTS) == []


def test_what_was_in_flight_at_a_kill_may_come_again():
    again = [post("s8", 1, 0.6, status=503), post("s9", 1, 0.7), *POSTS]
    assert audit(ATTEMPTS, again) == []


def test_what_a_killed_process_had_sent_may_be_read_when_the_next_one_lives():
    attempts, posts = [ATTEMPTS[0], attempt(2, 2, 15)], [POSTS[0], post("s2", 2, 15)]
    assert audit(attempts, [*posts, post("s9", 2, 10.2, life=0)]) == []
    assert audit(attempts, [*posts, post("s9", 2, 10.2, life=1)]) == [
        "repeated: ordered:2 was sent without an attempt, and its process ended in good order"
    ]


def test_what_its_sender_had_given_up_may_be_sent_again_whatever_the_answer_was():
    again = [replace(post("s8", 1, 0.6), awaited=False), post("s9", 1, 0.7), *POSTS]
    assert audit(ATTEMPTS, again) == []


@pytest.mark.parametrize(
    ("attempts", "posts", "fault"),
    [
        (ATTEMPTS[:1], POSTS[:1], "lost: ordered:2 is untried"),
        (
            [ATTEMPTS[0], attempt(2, 2, 2, decision=Decision.FAILED, next_at_us=9)],
            POSTS,
            "ordered:2 is pending",
        ),
        ([ATTEMPTS[0], attempt(2, 2, 2, attempt=2)], POSTS, "illegal: ordered:2"),
        ([*ATTEMPTS, attempt(3, 3, 3)], POSTS, "ordered:3 was never to be sent"),
        (ATTEMPTS, POSTS[:1], "unmet: ordered:2, attempt 1: 200, not None"),
        (ATTEMPTS, [POSTS[0], post("s2", 2, 2, status=500)], "unmet: ordered:2, attempt 1: 200, not 500"),
        (
            ATTEMPTS,
            [*POSTS, post("s9", 2, 15)],
            "repeated: ordered:2 was sent without an attempt, and its process",
        ),
        (
            [ATTEMPTS[0], attempt(2, 2, 8)],
            [post("s9", 1, 0.5), *POSTS],
            "repeated: ordered:1: what began 7.5 s",
        ),
        (ATTEMPTS, [post("s8", 1, 0.6), post("s9", 1, 0.7), *POSTS], "sent again in life 0 after"),
        (
            ATTEMPTS,
            [POSTS[0], post("s2", 2, 2), post("s9", 2, 2.1, digest=b"x")],
            "changed: dlv_2 has 2 bodies",
        ),
        (ATTEMPTS, [post("s2", 2, 0.9), POSTS[0]], "disordered: ordered, live: 1 of k came behind 2"),
    ],
)
def test_a_fault_is_found(attempts, posts, fault):
    assert any(fault in found for found in audit(attempts, posts))


def test_a_gap_in_a_replay_is_found():
    sent = attempt(3, 1, 3, attempt=2, round=1, replay=7, cause="replay")
    posts = [*POSTS, post("s3", 1, 3)]
    assert audit([*ATTEMPTS, sent], posts, replays=(REPLAY,)) == [
        "unreplayed: replay 7 did not send ordered:2"
    ]


def test_a_replay_that_runs_and_a_row_that_is_left_are_found():
    running = replace(REPLAY, first=3, last=3, state="running")
    assert audit(ATTEMPTS, POSTS, replays=(running,)) == ["lost: replay 7 is running"]
    assert audit(ATTEMPTS, POSTS, pending=((1, 2),)) == ["lost: ordered:2 is still pending"]


def test_rounds_that_nobody_asked_for_are_found():
    alone = attempt(3, 2, 3, attempt=2, round=1)
    found = audit([*ATTEMPTS, alone], [*POSTS, post("s3", 2, 3)])
    assert found == ["uncalled: ordered:2 began 1 rounds by itself"]
    outside = attempt(3, 2, 3, attempt=2, round=1, replay=7, cause="replay")
    found = audit(
        [*ATTEMPTS, outside],
        [*POSTS, post("s3", 2, 3)],
        replays=(replace(REPLAY, last=1, attempts_until=0, requested_at_us=0),),
    )
    assert found == ["uncalled: ordered:2 has 1 rounds of replay 7, range(1, 2)"]
