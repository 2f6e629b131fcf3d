"""What must hold, worked out from the stores and the sinks alone, without the code under test.

``owed`` says for one subscription which positions it must get; the checks compare that with what is journaled
(after every commit) and with what was posted (at every POST).
"""

import json
from collections import Counter
from dataclasses import dataclass, field

from gateway.adapters.memory import MemoryStore
from gateway.domain.delivery import Decision, fold
from gateway.domain.ids import delivery_id
from gateway.ports import (
    AttemptRecord,
    Entry,
    JournalBatch,
    Kind,
    ReplayRange,
    ReplayRecord,
    ReplayState,
    SubscriptionState,
)
from simulation.sinks import Post, Sinks

_SLACK_US = 1_500_000
_AFTER_OUTAGE_US = 3_000_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What a subscription selects, in the simulation's own words. Empty: any."""

    types: frozenset[str] = frozenset()
    agents: frozenset[str] = frozenset()
    prefix: str = ""

    def wants(self, entry: Entry, agent: str) -> bool:
        if entry.kind is Kind.FACT:
            return entry.type in self.types
        return (
            (not self.types or entry.type in self.types)
            and (not self.agents or agent in self.agents)
            and entry.id.startswith(self.prefix)
        )


@dataclass(slots=True)
class Told:
    """What was commanded for one subscription: wishes by the position of their fact, what a skip excused."""

    organization: str
    wishes: list[tuple[int, Wish]]
    audits: bool
    concurrency: int
    excused: set[int] = field(default_factory=set)
    stopped_us: int | None = None
    resumed_us: int = 0
    deleted: bool = False
    ordered: bool = False
    reopened: set[int] = field(default_factory=set)
    """Positions that a command may have sent again after they had ended."""
    promised: dict[int, set[int]] = field(default_factory=dict)
    """By replay: what it must send, as far as the live stream had come to it by then."""

    def wish_at(self, position: int) -> Wish:
        earlier = [wish for at, wish in self.wishes if at < position]
        return earlier[-1] if earlier else self.wishes[0][1]


class Oracle:
    """The judge of one run."""

    def __init__(self, store: MemoryStore, sinks: Sinks, pending_max: int) -> None:
        self.store, self.sinks, self.pending_max = store, sinks, pending_max
        self.told: dict[int, Told] = {}
        self.agents: dict[int, str] = {}
        self.last_outage_us = 0
        self.asked_us: dict[tuple[int, int], int] = {}
        """When each delivery was asked for last by a retry that was answered 202."""
        self._checked: dict[int, int] = {}
        self._terminal: set[tuple[int, int]] = set()
        self._open: dict[tuple[int, int], str] = {}
        self._ordered_to: dict[tuple[int, str], int] = {}
        self._arrived: set[tuple[int, int]] = set()
        self._delivered: set[tuple[int, int]] = set()
        self._process = 0
        self._answers: list[tuple[int, int]] = []
        self._opened: dict[int, bool] = {}
        self._parked: set[str] = set()
        self._crashes: Counter[tuple[int, int]] = Counter()

    def process_started(self, process: int) -> None:
        """What the one before had in flight, and what it knew, is gone."""
        self._process = process
        for item in self.store.pending.values():
            if item.next_at_us is None:
                self._crashes[item.number, item.position] += 1
        self._open.clear()
        self._delivered.clear()
        self.sinks.waits_until_us.clear()

    def owed(self, number: int, first: int, last: int) -> list[int]:
        """The positions in ``first..last`` that this subscription must get."""
        told, store = self.told[number], self.store
        found = []
        for entry in (row.entry for row in store.rows[first - 1 : last]):
            at = entry.position
            foreign = told.organization not in {"*", entry.organization}
            if entry.addressee is not None:
                if entry.addressee == number and at not in told.excused:
                    found.append(at)
                continue
            if foreign or at in told.excused or self._feeds_itself(entry):
                continue
            if told.wish_at(at).wants(entry, self.agents.get(at, "")):
                found.append(at)
        return found

    def replayed(self, number: int, wanted: ReplayRange) -> set[int]:
        """What a replay that is asked for now must send, by the selection that is in force now (S5a)."""
        told, found = self.told[number], set()
        for entry in (row.entry for row in self.store.rows[wanted.from_position - 1 : wanted.until_position]):
            at, attempts = entry.position, self.store.attempts.get((number, entry.position), [])
            if entry.addressee is not None or told.organization not in {"*", entry.organization}:
                continue
            failed = bool(attempts) and fold(attempts).state.failed
            known = at <= self.passed(number)
            wants = told.wishes[-1][1].wants(entry, self.agents.get(at, "")) and not self._feeds_itself(entry)
            if wants and known and (failed or not wanted.only_failed):
                found.add(at)
        return found

    def _feeds_itself(self, entry: Entry) -> bool:
        """A fact about a subscription that asks for facts is not routed (S1e)."""
        if entry.kind is not Kind.FACT:
            return False
        subject = json.loads(entry.envelope or b"{}").get("subject")
        return any(
            told.audits and self.store.names[number][0] == subject for number, told in self.told.items()
        )

    # What is journaled.

    def committed(self, batch: JournalBatch) -> None:
        """After a commit: attempts fold, and no cursor has passed what is neither settled nor pending."""
        for attempt in batch.attempts:
            key = (attempt.number, attempt.position)
            if attempt.error_class == "crash" and attempt.id not in self._parked:
                self._parked.add(attempt.id)  # the same commit may come twice, its answer having been lost
                assert attempt.decision is Decision.EXHAUSTED
                assert self._crashes[key] >= 3, f"{key} was parked after {self._crashes[key]} crashes"
            self._crashes[key] = 0
            state = fold(self.store.attempts[key])
            if state.state.terminal:
                self._terminal.add(key)
        of_the_stream = [item for item in self.store.pending.values() if item.round == 0]
        for number, count in Counter(item.number for item in of_the_stream).items():
            assert count <= self.pending_max, f"{count} deliveries of {number} are pending"
        for number, position in self.store.pending:
            assert position <= self.passed(number), f"pending {position} of {number} is ahead of its cursor"
        for number, told in self.told.items():
            if not told.deleted:
                self._check_passed(number, self._checked.get(number, self.start_of(number)))
                self._checked[number] = max(self._checked.get(number, 0), self.passed(number))

    def check_all(self) -> None:
        """The same for everything from the start: as a process that starts now would find it."""
        for number, told in self.told.items():
            if not told.deleted:
                self._check_passed(number, self.start_of(number))

    def _check_passed(self, number: int, after: int) -> None:
        for position in self.owed(number, after + 1, self.passed(number)):
            key = (number, position)
            assert key in self._terminal or key in self.store.pending or self._stands_behind(*key), (
                f"the cursor of {number} passed {position}, which is neither settled nor pending"
            )

    def _stands_behind(self, number: int, position: int) -> bool:
        """Whether the pending head of its key covers it (S4b)."""
        return any(
            head.number == number
            and head.blocked_from is not None
            and head.position < position
            and head.partition_key == self.agents.get(position)
            for head in self.store.pending.values()
        )

    def passed(self, number: int) -> int:
        """How far the stream counts as dispatched for whoever starts now."""
        cursor, record = self.store.cursors[number], self.store.subscriptions[number]
        assert record is not None
        follows = cursor.live and record.state is SubscriptionState.ACTIVE
        return max(cursor.position, self.store.routed) if follows else cursor.position

    def start_of(self, number: int) -> int:
        record = self.store.subscriptions[number]
        assert record is not None
        return record.start_position

    # What is posted.

    def arrived(self, post: Post) -> None:
        """At every POST: it is owed, it is this delivery's turn, and nothing forbids it now."""
        key, told = (post.number, post.position), self.told[post.number]
        row_hash = self.store.rows[post.position - 1].entry.row_hash
        if not post.batch:
            assert post.webhook_id == delivery_id(post.number, post.position, row_hash)
        else:
            # Frozen and journaled before its first POST (S10a), the halves of a split one too.
            stored = self.store.pending.get(key)
            frozen = told.deleted or (stored is not None and stored.batch == post.webhook_id)
            assert frozen, f"{key} is posted in a batch that is not written"
        assert key not in self._open, f"{key} is posted twice at a time"
        if post.position not in told.reopened:
            assert key not in self._terminal, f"{key} is posted after it was journaled as ended"
            assert key not in self._delivered, f"{key} is posted after this process delivered it"
            entry = self.store.rows[post.position - 1].entry
            wants = told.wish_at(post.position).wants(entry, self.agents.get(post.position, ""))
            wanted = wants if entry.addressee is None else entry.addressee == post.number
            assert wanted, f"{key} is posted and was not asked for"
        self._check_time(post, told)
        in_flight = {webhook_id for other, webhook_id in self._open.items() if other[0] == post.number}
        assert len(in_flight - {post.webhook_id}) < told.concurrency, (
            f"{post.number} has more in flight than it allows"
        )
        self._open[key] = post.webhook_id
        if told.ordered and not (post.replay or told.deleted):
            self._check_order(post, told)
        self._arrived.add(key)

    def _check_order(self, post: Post, told: Told) -> None:
        """S4a: what comes for the first time comes behind everything of its key that lies before it."""
        if (post.number, post.position) in self._arrived or post.position in told.reopened:
            return
        agent = self.agents.get(post.position)
        if agent is None:
            return  # a fact has no key
        # What lies before one that came in order has come: only what is new since then is to be looked at.
        checked = self._ordered_to.get((post.number, agent), self.start_of(post.number))
        self._ordered_to[post.number, agent] = max(checked, post.position)
        for earlier in self.owed(post.number, checked + 1, post.position - 1):
            came = (post.number, earlier) in self._arrived or (post.number, earlier) in self._terminal
            assert came or self.agents.get(earlier) != agent, (
                f"{post.position} of {post.number} came before {earlier} of the same key"
            )

    def ended(self, post: Post) -> None:
        if post.process == self._process:
            self._answered(post.number, post.status)
            self._open.pop((post.number, post.position), None)
            if 200 <= post.status < 300:
                self._delivered.add((post.number, post.position))

    def _probes(self, number: int) -> bool:
        """Whether the breaker of this subscription may be open: then the oldest is tried before its time (S3g)."""
        note = self.store.notes.get(number)
        recent = [status for at, status in self._answers if at == number][-100:]
        failed = [not 200 <= status < 300 for status in recent]
        in_a_row = 20
        return (
            (note is not None and note.opened_at_us is not None)
            or (len(failed) >= in_a_row and all(failed[-in_a_row:]))
            or sum(failed) >= 80
            or self._opened.get(number, False)
        )

    def _answered(self, number: int, status: int) -> None:
        """Keeps the count from which `_probes` is told."""
        success = 200 <= status < 300
        self._answers.append((number, status))
        self._opened[number] = not success and self._probes(number)

    def _check_time(self, post: Post, told: Told) -> None:
        attempts = self.store.attempts.get((post.number, post.position), ())
        early = self._probes(post.number) or post.position in told.reopened
        if attempts and attempts[-1].next_at_us is not None and not early:
            assert post.started_us >= attempts[-1].next_at_us - 1, "a retry came before its time"
        if self.last_outage_us + _AFTER_OUTAGE_US > post.started_us:
            return
        if told.stopped_us is not None:
            assert post.started_us < told.stopped_us + _SLACK_US, (
                f"{post.number} is stopped, and was posted to"
            )
        wait_us = self.sinks.waits_until_us.get(post.number, 0)
        assert post.started_us >= wait_us - 2_000, f"{post.number} asked for a pause, and was posted to"

    # At the end.

    def missing(self) -> list[tuple[int, int]]:
        """What is owed and has not ended yet."""
        return [
            (number, position)
            for number, told in self.told.items()
            if not told.deleted
            for position in self.owed(number, self.start_of(number) + 1, self.store.head)
            if (number, position) not in self._terminal
        ]

    def check_end(self) -> None:
        assert not self.missing()
        assert not self.store.pending, "something is pending after everything has ended"
        for number, told in self.told.items():
            if told.deleted:
                assert number not in self.store.cursors
                assert self.store.subscriptions[number] is None
                assert not any(owner == number for owner, _ in self.store.pending)
        for replay in self.store.replays.values():
            self._check_replay(replay)
        for key, asked_us in self.asked_us.items():
            if not self.told[key[0]].deleted:
                assert any(item.started_at_us >= asked_us for item in self.store.attempts[key]), (
                    f"{key} was asked for at {asked_us}, and not tried since"
                )
        for key, attempts in self.store.attempts.items():
            fold(attempts)
            assert len({attempt.id for attempt in attempts}) == len(attempts)
            self._check_repeats(key, attempts)

    def _check_replay(self, replay: ReplayRecord) -> None:
        told = self.told[replay.number]
        if told.deleted:
            assert replay.state is not ReplayState.RUNNING
            return
        assert replay.state is ReplayState.FINISHED
        for position in told.promised[replay.replay]:
            attempts = self.store.attempts[replay.number, position]
            sent = any(attempt.replay == replay.replay for attempt in attempts)
            late = not replay.asked.follows(self.store.seqs[attempts[0].id], attempts[0].started_at_us)
            assert sent or late, f"the replay {replay.replay} of {replay.number} left out {position}"

    def _check_repeats(self, key: tuple[int, int], attempts: list[AttemptRecord]) -> None:
        """A POST without an attempt row is one that a crash cut off or whose outcome it took.

        While storage is away outcomes are not journaled, so that a crash then may take several of one delivery.
        """
        posts = [post for post in self.sinks.posts if (post.number, post.position) == key]
        sent = sum(attempt.error_class != "crash" for attempt in attempts)
        per_process = Counter(post.process for post in posts)
        if not self.last_outage_us:
            assert len(posts) - sent <= len(per_process), f"{key} was posted more often than crashes explain"
