"""What an event and the stream say of when it was emitted, spooled and published."""

import pytest

from gateway.domain.emitted import emitted_at_us, published_at_us, spooled_at_us

AT_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
SEQUENCE = f"{AT_US * 1_000 + 999:020d}"


@pytest.mark.parametrize(
    ("time", "at_us"),
    [
        ("2026-01-01T00:00:00Z", AT_US),
        ("2026-01-01t00:00:00.5z", AT_US + 500_000),
        ("2026-01-01T01:00:00.000001+01:00", AT_US + 1),
        ("2026-01-01T00:00:00", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_a_time_is_read_or_said_to_be_none(time: str | None, at_us: int | None) -> None:
    assert emitted_at_us(time) == at_us


@pytest.mark.parametrize(
    ("sequence", "published", "at_us"),
    [
        (SEQUENCE, AT_US + 1_000, AT_US),
        (SEQUENCE, AT_US, AT_US),
        # The clock of Redis may be behind the emitter's, though not by minutes.
        (SEQUENCE, AT_US - 59_000_000, AT_US),
        (SEQUENCE, AT_US - 61_000_000, None),
        (SEQUENCE, None, None),
        (f"{7:020d}", AT_US, None),
        (SEQUENCE[1:], AT_US, None),
        ("x" * 20, AT_US, None),
        ("²" * 20, AT_US, None),
        (7, AT_US, None),
    ],
)
def test_s9c_a_sequence_is_a_time_only_where_a_spool_gave_it(
    sequence: object, published: int | None, at_us: int | None
) -> None:
    assert spooled_at_us(sequence, published) == at_us


@pytest.mark.parametrize(
    ("entry", "at_us"),
    [
        (f"{AT_US // 1_000}-0", AT_US),
        (f"{AT_US // 1_000}", AT_US),
        ("5-1", None),
        ("-1", None),
        ("x-0", None),
        ("9" * 40 + "-0", None),
    ],
)
def test_an_entry_of_the_stream_says_when_redis_had_it(entry: str, at_us: int | None) -> None:
    assert published_at_us(entry) == at_us
