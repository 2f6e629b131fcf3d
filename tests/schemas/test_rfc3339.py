"""Date-times of RFC 3339 as moments: what is cut off, what a leap second is, and what no `datetime` holds."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.rfc3339 import moment, timestamp

MIDNIGHT = datetime(2017, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2017-01-01T00:00:00Z", MIDNIGHT),
        ("2016-12-31t23:00:00.0000009z", MIDNIGHT - timedelta(hours=1)),
        ("2017-01-01T00:00:00.123456789+00:00", MIDNIGHT.replace(microsecond=123456)),
        ("2017-01-01T05:30:00.5+05:30", MIDNIGHT.replace(microsecond=500_000)),
        ("2016-12-31T12:00:00-12:00", MIDNIGHT),
        ("2016-12-31T23:59:60Z", MIDNIGHT),
        ("2016-12-31T23:59:60.25Z", MIDNIGHT.replace(microsecond=250_000)),
        ("2017-01-01T08:59:60+09:00", MIDNIGHT),
    ],
)
def test_what_is_read(text: str, read: datetime) -> None:
    assert (moment(text), moment(text).tzinfo) == (read, UTC)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2017-01-01", "no date-time"),
        ("2017-01-01T00:00:00", "no date-time"),
        ("2017-02-29T00:00:00Z", "no date-time"),
        ("2016-12-31T22:59:60Z", "60th second"),
        ("2016-12-31T23:59:60+01:00", "60th second"),
        ("0000-01-01T00:00:00Z", "years 1 to 9999"),
        ("0001-01-01T00:00:00+00:01", "years 1 to 9999"),
        ("9999-12-31T23:59:59-00:01", "years 1 to 9999"),
        ("9999-12-31T23:59:60Z", "years 1 to 9999"),
    ],
)
def test_what_is_not(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        moment(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_again(at: datetime) -> None:
    assert moment(timestamp(at)) == at
