"""The bounds of the sender: of time, of size and of connections."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sender may use.

    Attributes:
        attempt_s: One attempt from the call to the end of the answer, where the caller does not say.
        connect_s: Name lookup, TCP and TLS together, within the attempt.
        head_bytes_max: Status line and headers of an answer, those of its 1xx included.
        read_bytes_max: What is read of a body, framing included, before the connection is cut instead.
        capture_bytes: What is kept of a body, content coding removed (S11g).
        connections_max: Open connections; idle ones of other origins give way.
        connections_per_origin_max: Open connections to one scheme, host and port. A lane of higher
            concurrency waits here, within its own attempt.
        waiting_max: Requests that wait for a connection at once.
        idle_s: How long a connection may be unused and still be used again: Node and uvicorn close at 5.
        age_s: How long a connection is used before its name is resolved and vetted anew.
    """

    attempt_s: float = 5.0
    connect_s: float = 3.0
    head_bytes_max: int = 16 * 1024
    read_bytes_max: int = 64 * 1024
    capture_bytes: int = 1024
    connections_max: int = 512
    connections_per_origin_max: int = 64
    waiting_max: int = 4096
    idle_s: float = 4.0
    age_s: float = 120.0
