"""The short way through a `traceparent` says what the grammar of all versions says."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.trace_context import _any_version, traceparent_fields

VALID = f"00-{'0' * 31}a-{'0' * 15}b-01"


@settings(max_examples=500)
@given(
    st.integers(0, len(VALID)),
    st.integers(0, 3),
    st.sampled_from(["", "0", "f", "F", "-", "00", "\n", "ü", "-x"]),
)
@example(31 + 3, 1, "0")
@example(36 + 15, 1, "0")
@example(0, 2, "ff")
@example(0, 2, "01")
@example(len(VALID), 0, "-x")
@example(len(VALID), 0, "\n")
def test_a_damaged_value_is_read_as_in_general(at: int, length: int, put: str) -> None:
    value = VALID[:at] + put + VALID[at + length :]
    assert traceparent_fields(value) == _any_version(value)


def test_what_is_read() -> None:
    assert traceparent_fields(VALID) == ("0" * 31 + "a", "0" * 15 + "b", 1)
