"""Streams in figures, and what is taken out of a log."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.stream_figures import BEHIND, Stance, StreamFigures
from otel.redaction import MASK, Redaction

HEAD = 1_000_000


@given(st.lists(st.tuples(st.sampled_from(list(Stance)), st.integers(min_value=0, max_value=HEAD))))
def test_figures_are_those_of_all_streams_that_are_not_stopped(streams):
    figures = StreamFigures()
    for stance, reached in streams:
        figures.add(stance, reached=reached, head=HEAD)
    lags = [HEAD - reached for stance, reached in streams if stance is not Stance.STOPPED]
    assert sum(figures.stances.values()) == len(streams)
    assert figures.lag_sum == sum(lags)
    assert figures.lag_max == max(lags, default=0)
    assert figures.furthest == (HEAD - max(lags) if any(lags) else None)
    assert figures.behind == {bound: sum(lag > bound for lag in lags) for bound in BEHIND}


@given(st.sampled_from(list(Stance)), st.integers(-2, 20), st.integers(0, HEAD))
def test_streams_that_are_alike_count_as_if_added_one_by_one(stance, count, reached):
    together, one_by_one = StreamFigures(), StreamFigures()
    together.add_alike(stance, count, reached=reached, head=HEAD)
    for _ in range(count):
        one_by_one.add(stance, reached=reached, head=HEAD)
    assert together == one_by_one


SECRET = 'pass/word"with=all of it'


def test_secrets_that_are_known_go_in_each_spelling():
    redaction = Redaction([SECRET, "abc"])
    for form in (SECRET, "pass%2Fword%22with%3Dall%20of%20it", 'pass\\/word"with=all of it'):
        assert redaction.touches(f"it is {form}.")
        assert redaction.text(f"it is {form}.") == f"it is {MASK}."
    assert redaction.text("abc is too short to be looked for") == "abc is too short to be looked for"


def test_what_has_the_shape_of_a_secret_goes_whoever_its_is():
    redaction = Redaction(())
    for said, left in {
        "redis://user:pw@host:1/0": f"redis://{MASK}@host:1/0",
        "at postgresql+asyncpg://u:p%40w@db/log.": f"at postgresql+asyncpg://{MASK}@db/log.",
        "Authorization: Bearer abcdef.ghi-jkl": f"Authorization: Bearer {MASK}",
        "authorization: basic dXNlcjpwdw==": f"authorization: basic {MASK}",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": f"whsec_{MASK}",
        "lgw_0123456789abcdef": f"lgw_{MASK}",
        "GET /payloads/dlv_a?sig=abcdef&x=1": f"GET /payloads/dlv_a?sig={MASK}&x=1",
        "https://h/x?a=1&access_token=T#f": f"https://h/x?a=1&access_token={MASK}#f",
        "POST /handshake/0123456789abcdef": f"POST /handshake/{MASK}",
        "https://example.com/hooks?page=2": "https://example.com/hooks?page=2",
        "bearer tokens are fine": "bearer " + MASK + " are fine",
    }.items():
        assert redaction.touches(said)
        assert redaction.text(said) == left
    assert not redaction.touches("position 5 was delivered")


@given(st.text(max_size=60), st.text(max_size=60))
def test_what_is_not_touched_would_not_be_changed(before, behind):
    redaction = Redaction([SECRET])
    said = f"{before}{behind}"
    assert redaction.touches(said) or redaction.text(said) == said
