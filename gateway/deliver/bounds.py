"""The bounds of a lane, as its subscription sets them (S3d)."""

from gateway.deliver.directory import Current
from gateway.domain.batching import Batching
from gateway.domain.lane import Lane
from gateway.domain.rate import Rate
from gateway.domain.subscription import Format, Ordering

CONCURRENCY = 32
BATCH_EVENTS = 100
BATCH_BYTES = 1024 * 1024
BATCH_AGE_S = 1.0
_SECOND_US = 1_000_000


def concurrency_of(current: Current) -> int:
    """How many attempts of a subscription may be in flight at once."""
    return current.record.spec.config.max_concurrency or CONCURRENCY


def configure(lane: Lane, current: Current) -> None:
    """Bring a lane's bounds in line with what its subscription is now (S3d)."""
    config = current.record.spec.config
    lane.concurrency = concurrency_of(current)
    lane.ordered = config.ordering is Ordering.PARTITIONKEY
    per_second = _per_second(current)
    if per_second is None:
        lane.rate = None
    elif lane.rate is None or lane.rate.per_second != per_second:
        lane.rate = Rate(per_second)
    lane.batching = None
    if config.format is Format.BATCH:
        age_s = BATCH_AGE_S if config.batch_age_s is None else config.batch_age_s
        lane.batching = Batching(
            config.batch_events_max or BATCH_EVENTS,
            config.batch_bytes_max or BATCH_BYTES,
            int(age_s * _SECOND_US),
        )


def _per_second(current: Current) -> float | None:
    """The lower of what the subscriber asked for and what the sink allows (CONFORMANCE 30); None: neither."""
    asked, allowed = current.record.spec.config.max_per_second, current.record.consent.per_minute
    rates = [rate for rate in (asked, None if allowed is None else allowed / 60) if rate is not None]
    return min(rates, default=None)
