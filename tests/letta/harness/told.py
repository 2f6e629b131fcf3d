"""Events as they arrived, from whichever end they were read."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

PREFIX = "com.letta."


@dataclass(frozen=True)
class Told:
    """One event: its CloudEvents attributes, its payload, and the delivery that brought it."""

    attributes: Mapping[str, str]
    payload: Mapping[str, Any]
    delivery: str | None = None

    @classmethod
    def from_structured(cls, body: bytes) -> Self:
        """From a structured CloudEvent."""
        members = json.loads(body)
        payload = members.pop("data")
        return cls(members, payload)

    @classmethod
    def from_binary(cls, headers: Mapping[str, str], body: bytes) -> Self:
        """From a POST in CloudEvents binary mode."""
        lowered = {name.lower(): value for name, value in headers.items()}
        attributes = {
            name.removeprefix("ce-"): value for name, value in lowered.items() if name.startswith("ce-")
        }
        return cls(attributes, json.loads(body), lowered.get("webhook-id"))

    @property
    def type(self) -> str:
        """The short name."""
        return self.attributes["type"].removeprefix(PREFIX)

    @property
    def id(self) -> str:
        return self.attributes["id"]

    @property
    def subject(self) -> str:
        return self.attributes["subject"]

    @property
    def agent(self) -> str | None:
        agent: str | None = self.payload["agent_id"]
        return agent

    @property
    def data(self) -> Mapping[str, Any]:
        data: Mapping[str, Any] = self.payload["data"]
        return data

    @property
    def trace_id(self) -> str:
        return self.attributes["traceparent"].split("-")[1]

    @property
    def sequence(self) -> str:
        return self.attributes["sequence"]


class History(Sequence[Told]):
    """Events in the order of their sequence, with the questions that tests ask of them."""

    def __init__(self, events: Iterable[Told]) -> None:
        self._events = sorted(events, key=lambda event: event.sequence)

    def __len__(self) -> int:
        return len(self._events)

    def __getitem__(self, index: Any) -> Any:
        return self._events[index]

    def __iter__(self) -> Iterator[Told]:
        return iter(self._events)

    def of(self, *types: str) -> list[Told]:
        return [event for event in self if event.type in types]

    def by(self, *agents: str) -> "History":
        return History(event for event in self if event.agent in agents)

    def subjects(self, *types: str) -> Counter[str]:
        """How often each subject was told of."""
        return Counter(event.subject for event in self.of(*types))

    def as_listed(self) -> Counter[tuple[str, str]]:
        """The events of steps, replies, runs and tool calls by type and subject; a call's is its step."""
        found = Counter((event.type, event.data["step_id"]) for event in self.of("tool.execution.completed"))
        found.update((event.type, event.subject) for event in self if "tool." not in event.type)
        return found

    def counts(self) -> Counter[str]:
        return Counter(event.type for event in self)
