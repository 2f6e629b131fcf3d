"""What a stream's own limits are, in words: why an event of it may have to wait though nothing is wrong."""

from gateway.domain.handshake import Consent
from gateway.domain.subscription import Config, Format, Ordering


def pace_of(config: Config, consent: Consent | None) -> str | None:
    """One sentence, of what was asked for alone; None where the stream goes as fast as its sink.

    Args:
        config: The subscription's.
        consent: What the sink has granted in the handshake; None: it was not asked.
    """
    per_minute = None if consent is None else consent.per_minute
    limits = [
        None if config.max_per_second is None else f"at most {config.max_per_second:g} a second",
        None if per_minute is None else f"at most {per_minute} a minute, which its sink allows",
        None if config.max_concurrency is None else f"at most {config.max_concurrency} at once",
        "one after the other of each partition key" if config.ordering is Ordering.PARTITIONKEY else None,
        _batches(config) if config.format is Format.BATCH else None,
    ]
    told = [limit for limit in limits if limit is not None]
    return f"By its configuration it sends {'; '.join(told)}." if told else None


def _batches(config: Config) -> str:
    age = "a while" if config.batch_age_s is None else f"{config.batch_age_s:g} s"
    return f"in batches, each when it is full or has waited {age}"
