"""How many connections the sender may have open, given what the system allows this process."""

import contextlib
import resource

from gateway.adapters.http.limits import Limits

_FILES_WANTED = 16_384
_FILES_FOR_THE_REST = 256
_CONNECTIONS_PER_ORIGIN = 256
"""As many as one subscription may have in flight, so that its own attempts never wait for each other."""


def limits_for(in_flight_max: int) -> Limits:
    """As many connections as attempts may be in flight: one that waited for a connection would pass for a slow sink."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, _FILES_WANTED)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    room = max(_FILES_FOR_THE_REST, soft - _FILES_FOR_THE_REST)
    return Limits(
        connections_max=min(in_flight_max, room), connections_per_origin_max=_CONNECTIONS_PER_ORIGIN
    )
