"""The audit: what the receiver met beside what the gateway's books say. Each check returns its faults, one a line."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.domain.delivery import Decision, DeliveryState, IllegalTransition, fold
from gateway.ports import Moment
from killing.books import Attempt, Books, Delivery, Replay, Stream
from killing.process import Life
from killing.receiver import Post
from schemas import GATEWAY_TYPE_PREFIX

# An outcome is journaled with all that began later; so long it may take from the receiver to the gateway's notes.
_NOTED_S = 1.5


@dataclass(frozen=True)
class Met:
    """One delivery in one POST."""

    delivery: Delivery
    post: Post
    journaled: bool


class Audit:
    def __init__(self, books: Books, posts: list[Post], lives: list[Life]) -> None:
        self.books = books
        self.posts = sorted(posts, key=lambda post: post.at)
        self.lives = lives
        self.streams: dict[str, Stream] = {stream.name: stream for stream in books.streams}
        self._positions = {(entry.source, entry.event_id): entry.position for entry in books.entries}
        self._keys = {entry.position: entry.key for entry in books.entries}
        self._journaled: dict[str, set[Delivery]] = defaultdict(set)
        for delivery, attempts in books.attempts.items():
            for attempt in attempts:
                self._journaled[attempt.span].add(delivery)
        self.met = list(self._meet())
        self.repeats = [met for met in self.met if not met.journaled]

    def faults(self) -> list[str]:
        """All of them."""
        checks = (
            self.illegal,
            self.lost,
            self.unmet,
            self.repeated,
            self.changed,
            self.unreplayed,
            self.uncalled,
            self.disordered,
        )
        return [f"{check.__name__}: {fault}" for check in checks for fault in check()]

    def missing(self, accepted: list[tuple[str, str]]) -> list[str]:
        """What a producer has a word for, and is not in the log."""
        return [f"lost before the log: {event}" for event in accepted if event not in self._positions]

    def outdated(self, rotations: list[tuple[str, int, float]]) -> list[str]:
        """What a process that began after a rotation did not sign with the new secret."""
        return [
            f"outdated: {post.stream} {post.webhook_id} has no signature of secret {number}"
            for stream, number, at in rotations
            for post in self.posts
            if post.stream == stream and post.secret < number and post.life > self._life(at)
        ]

    def illegal(self) -> Iterator[str]:
        """Attempts that cannot follow one another."""
        for delivery, attempts in self.books.attempts.items():
            try:
                fold(attempts)
            except IllegalTransition as illegal:
                yield f"{self._name(delivery)}: {illegal}"

    def lost(self) -> Iterator[str]:
        """What was owed and has not ended, what is still pending, and what was never owed."""
        owed = set(self.books.deliveries())
        for delivery in sorted(owed):
            state = self._state(delivery)
            if state is None or not state.state.terminal:
                yield f"{self._name(delivery)} is {'untried' if state is None else state.state}"
        for delivery in sorted(self.books.attempts.keys() - owed):
            yield f"{self._name(delivery)} was never to be sent"
        for delivery in self.books.pending:
            yield f"{self._name(delivery)} is still pending"
        for replay in self.books.replays:
            if replay.state != "finished":
                yield f"replay {replay.replay} is {replay.state}"

    def unmet(self) -> Iterator[str]:
        """Attempts with an answer that the receiver did not give."""
        given = {(met.delivery, met.post.span): met.post.status for met in self.met}
        for delivery, attempts in self.books.attempts.items():
            for attempt in attempts:
                status = given.get((delivery, attempt.span))
                if attempt.status is not None and attempt.status != status:
                    yield f"{self._name(delivery)}, attempt {attempt.attempt}: {attempt.status}, not {status}"

    def repeated(self) -> Iterator[str]:
        """POSTs without an attempt that were not in flight when their process was killed."""
        last_start = [0.0] * len(self.lives)
        for attempts in self.books.attempts.values():
            for attempt in attempts:
                life = self._life(attempt.started_at_us / 1e6)
                last_start[life] = max(last_start[life], attempt.started_at_us / 1e6)
        for met in self.repeats:
            name, answered = self._name(met.delivery), met.post.answered
            if not self.lives[met.post.life].killed:
                yield f"{name} was sent without an attempt, and its process ended in good order"
            elif answered is not None and last_start[met.post.life] > answered + _NOTED_S:
                late = last_start[met.post.life] - answered
                yield f"{name}: what began {late:.1f} s after its answer is journaled, and it is not"
        together: dict[tuple[Delivery, int], list[Post]] = defaultdict(list)
        for met in self.repeats:
            together[met.delivery, met.post.life].append(met.post)
        for (delivery, life), posts in together.items():
            # One that fails is tried again, or in halves, before its failure is journaled. One that is taken is not.
            if any(post.taken for post in posts[:-1]):
                told = ", ".join(f"{post.status} in {post.webhook_id}" for post in posts)
                yield f"{self._name(delivery)} was sent again in life {life} after it had been taken: {told}"

    def changed(self) -> Iterator[str]:
        """One webhook-id with more than one body; one delivery with more than one id outside of batches."""
        bodies: dict[str, set[bytes]] = defaultdict(set)
        ids: dict[Delivery, set[str]] = defaultdict(set)
        for met in self.met:
            bodies[met.post.webhook_id].add(met.post.digest)
            if met.post.webhook_id.startswith("dlv_"):
                ids[met.delivery].add(met.post.webhook_id)
        yield from (f"{id_} has {len(found)} bodies" for id_, found in bodies.items() if len(found) > 1)
        yield from (f"{self._name(key)} has the ids {found}" for key, found in ids.items() if len(found) > 1)

    def unreplayed(self) -> Iterator[str]:
        """What was in the range of a finished replay, and was not sent by it or later."""
        owed = defaultdict(list)
        for number, position in self.books.deliveries():
            owed[number].append(position)
        tests = {entry.position for entry in self.books.entries if entry.addressee is not None}
        for replay in self.books.replays:
            for position in owed[replay.number]:
                delivery = (replay.number, position)
                if position in tests or not replay.first <= position <= replay.last:
                    continue
                attempts = self.books.attempts[delivery]
                # One that is open may be taken over by another, which sends it for both (S5b).
                if _wanted(attempts, replay) and not any(
                    attempt.replay is not None
                    and (attempt.replay >= replay.replay or attempt.started_at_us >= replay.requested_at_us)
                    for attempt in attempts
                ):
                    yield f"replay {replay.replay} did not send {self._name(delivery)}"

    def uncalled(self) -> Iterator[str]:
        """Rounds that nobody asked for: a replay gives each delivery one at most, and each retry by hand one."""
        ranges = {replay.replay: range(replay.first, replay.last + 1) for replay in self.books.replays}
        for delivery, attempts in self.books.attempts.items():
            rounds = {attempt.round: attempt.replay for attempt in attempts}
            for replay, count in Counter(rounds.values()).items():
                if replay is None:
                    extra = count - 1 - self.books.retries[delivery]
                    if extra > 0:
                        yield f"{self._name(delivery)} began {extra} rounds by itself"
                elif count > 1 or delivery[1] not in ranges[replay]:
                    yield f"{self._name(delivery)} has {count} rounds of replay {replay}, {ranges[replay]}"

    def disordered(self) -> Iterator[str]:
        """First arrivals of one key that were not in log order: of the live stream, and of each replay (S4a)."""
        for stream in self.books.streams:
            if not stream.ordered:
                continue
            live = [met.delivery for met in self.met if met.delivery[0] == stream.number]
            yield from self._disorder(f"{stream.name}, live", live)
            replayed: dict[int, list[tuple[int, Delivery]]] = defaultdict(list)
            for delivery, attempts in self.books.attempts.items():
                for attempt in attempts if delivery[0] == stream.number else ():
                    if attempt.replay is not None and attempt.cause != "manual":
                        replayed[attempt.replay].append((attempt.started_at_us, delivery))
            for replay, found in replayed.items():
                yield from self._disorder(
                    f"{stream.name}, replay {replay}", [item for _, item in sorted(found)]
                )

    def _disorder(self, name: str, arrived: list[Delivery]) -> Iterator[str]:
        furthest: dict[str, int] = {}
        for _, position in dict.fromkeys(arrived):
            key = self._keys[position]
            if key is None:
                continue
            if position < furthest.get(key, 0):
                yield f"{name}: {position} of {key} came behind {furthest[key]}"
            furthest[key] = max(position, furthest.get(key, 0))

    def figures(self) -> str:
        attempts = sum(len(found) for found in self.books.attempts.values())
        decisions = Counter(
            attempt.decision.value for found in self.books.attempts.values() for attempt in found
        )
        entries = Counter(entry.type for entry in self.books.entries if entry.kind == "fact")
        events = sum(entry.kind == "event" for entry in self.books.entries)
        facts = {type_.removeprefix(GATEWAY_TYPE_PREFIX): count for type_, count in entries.items()}
        lines = (
            f"{events} events, {len(self.books.streams)} streams, {len(self.books.attempts)} deliveries",
            f"{attempts} attempts in {len(self.posts)} POSTs, {len(self.books.replays)} replays",
            f"{sum(life.killed for life in self.lives)} kills, {len(self.repeats)} deliveries in flight there",
            f"decisions: {dict(decisions)}",
            f"facts: {facts}",
        )
        return "\n".join(lines)

    def _meet(self) -> Iterator[Met]:
        for post in self.posts:
            number = self.streams[post.stream].number
            for event in post.events:
                delivery = (number, self._positions[event])
                journaled = delivery in self._journaled[post.span]
                yield Met(delivery, post, journaled)

    def _life(self, at: float) -> int:
        return max((index for index, life in enumerate(self.lives) if life.began <= at), default=0)

    def _state(self, delivery: Delivery) -> DeliveryState | None:
        attempts = self.books.attempts.get(delivery)
        try:
            return fold(attempts) if attempts else None
        except IllegalTransition:
            return DeliveryState()

    def _name(self, delivery: Delivery) -> str:
        number, position = delivery
        stream = next(stream for stream in self.books.streams if stream.number == number)
        return f"{stream.name}:{position}"


def _wanted(attempts: list[Attempt], replay: Replay) -> bool:
    """Whether a replay has to send it: it had been begun, or had failed, when that was asked for."""
    asked = Moment(replay.attempts_until, replay.requested_at_us)
    if replay.only_failed:
        ended = [item for item in attempts if asked.follows(item.seq, item.started_at_us + item.duration_us)]
        return bool(ended) and ended[-1].decision in {Decision.EXHAUSTED, Decision.REFUSED}
    return bool(attempts) and asked.follows(attempts[0].seq, attempts[0].started_at_us)
