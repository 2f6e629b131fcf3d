"""The person at the gateway's API: does what a round says, whether or not the gateway lives to answer."""

import base64
import hashlib
import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace

from killing.plan import NAMES, NEWCOMERS, STREAMS, Act, Round
from killing.process import Gateway
from killing.producers import Producer
from killing.receiver import Receiver

_NEWCOMERS_MAX = len(NAMES) - len(STREAMS)
_WIDTH_MAX = 1_200
_ROTATIONS_MAX = 3
_NO_ROUTE = {404, 405}


@dataclass
class Operator:
    gateway: Gateway
    receiver: Receiver
    producers: list[Producer]
    ids: dict[str, str] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    replays: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    skipped: str = ""
    newcomers: int = 0
    rotations: list[tuple[str, int, float]] = field(default_factory=list)
    """Stream, number of the secret, and when the gateway had a word for it."""

    def create(self, stream: str, members: dict[str, object]) -> None:
        """Make a subscription with a secret of the receiver's own, which it knows before the first POST."""
        secret = secret_of(stream, 0)
        self.receiver.secrets[stream] = [secret]
        body = {"sink": self.receiver.url(stream), "secret": secret, **members}
        status, found = self.ask("create", "POST", "/v1/subscriptions", body)
        if status == 201:
            self.ids[stream] = found["id"]

    def act_out(self, planned: Round) -> threading.Thread:
        """Change the moods now, and do the rest beside whoever waits for the kill."""
        self.receiver.moods.update(planned.moods)
        begun = time.time()

        def work() -> None:
            for act in planned.acts:
                time.sleep(max(0.0, begun + act.at - time.time()))  # a random point, not a wait for something
                self.do(act)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    def do(self, act: Act) -> None:
        if act.stream not in self.ids:  # a newcomer that did not come yet
            act = replace(act, stream=list(STREAMS)[int(act.where * len(STREAMS))])
        here = f"/v1/subscriptions/{self.ids[act.stream]}"
        match act.kind:
            case "replay" | "replay failed":
                self._replay(act, here)
            case "pause" | "resume" | "test":
                self.ask(act.kind, "POST", f"{here}/{act.kind}")
            case "rotate":
                self._rotate(act, here)
            case "retry":
                self._retry(act)
            case "burst":
                self.producers[int(act.where * len(self.producers))].bursts += 1
            case "revise":
                description = {"description": f"revised at {act.at:.3f}"}
                self.ask("revise", "PATCH", here, description, kind="application/merge-patch+json")
            case "newcomer" if self.newcomers < _NEWCOMERS_MAX:
                self.newcomers += 1
                config = NEWCOMERS[self.newcomers % len(NEWCOMERS)]
                self.create(NAMES[len(STREAMS) + self.newcomers - 1], {"config": config})

    def ask(self, name: str, method: str, path: str, body: object = None, *, kind: str = "application/json"):
        try:
            status, found = self.gateway.ask(method, path, body, content_type=kind)
        except (OSError, http.client.HTTPException):
            self.answers[f"{name}: killed"] += 1
            return 0, None
        self.answers[f"{name}: {status}"] += 1
        if status >= 500 and status != 503:
            self.faults.append(f"{method} {path} was answered with {status}: {found}")
        return status, found

    def subscriptions(self) -> list[dict]:
        """All there are, those included whose making was not answered."""
        status, found = self.ask("list", "GET", "/v1/subscriptions?limit=500")
        assert status == 200, found
        return found["items"]

    def _replay(self, act: Act, here: str) -> None:
        head = sum(len(producer.accepted) for producer in self.producers)
        first = 1 + int(act.where**2 * head)
        body: dict[str, object] = {"from_position": first}
        if act.kind == "replay failed":
            body["only"] = "failed"
        else:
            body["until_position"] = first + int(act.width * _WIDTH_MAX)
        status, found = self.ask(act.kind, "POST", f"{here}/replay", body)
        if status == 202:
            self.replays.append(found["id"])

    def _rotate(self, act: Act, here: str) -> None:
        known = self.receiver.secrets[act.stream]
        if self.skipped or len(known) > _ROTATIONS_MAX:
            return
        secret = secret_of(act.stream, len(known))
        known.append(secret)
        status, _ = self.ask("rotate", "POST", f"{here}/rotate-secret", {"secret": secret})
        if status in _NO_ROUTE:
            self.skipped = f"rotation: the gateway has no rotate-secret (it answered {status})"
        if status == 200:
            self.rotations.append((act.stream, known.index(secret), time.time()))
        elif status:
            known.remove(secret)  # it was refused; without an answer it may have been taken

    def _retry(self, act: Act) -> None:
        posts = [post for post in self.receiver.seen() if post.webhook_id.startswith("dlv_")]
        if posts:
            post = posts[int(act.where * len(posts))]
            self.ask("retry", "POST", f"/v1/deliveries/{post.webhook_id}/retry")


def secret_of(stream: str, number: int) -> str:
    return "whsec_" + base64.b64encode(hashlib.sha256(f"{stream} {number}".encode()).digest()).decode()


def create_all(operator: Operator) -> None:
    for stream, members in STREAMS.items():
        operator.create(stream, members)
        assert stream in operator.ids, operator.answers
