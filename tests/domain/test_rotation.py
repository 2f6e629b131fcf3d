"""Which secrets sign, and until when."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.rotation import OVERLAP_US, SECRETS_MAX, Secret, rotated, seeds, signing, with_key

NOW_US = 1_767_225_600_000_000
HOUR_US = 3_600_000_000


def test_for_a_day_both_sign_and_then_the_new_one_alone() -> None:
    secrets = rotated((Secret("a"),), "b", NOW_US)
    assert secrets == (Secret("a", NOW_US + OVERLAP_US), Secret("b"))
    assert OVERLAP_US == 24 * HOUR_US
    assert signing(secrets, NOW_US) == ("a", "b")
    assert signing(secrets, NOW_US + OVERLAP_US - 1) == ("a", "b")
    assert signing(secrets, NOW_US + OVERLAP_US) == ("b",)


def test_a_second_rotation_within_the_day_shortens_nobodys() -> None:
    once = rotated((Secret("a"),), "b", NOW_US)
    twice = rotated(once, "c", NOW_US + HOUR_US)
    assert signing(twice, NOW_US + HOUR_US) == ("a", "b", "c")
    assert signing(twice, NOW_US + 24 * HOUR_US) == ("b", "c")
    assert signing(twice, NOW_US + 25 * HOUR_US) == ("c",)
    assert rotated(twice, "d", NOW_US + 30 * HOUR_US)[0].text == "c"  # what had ended is dropped


def test_the_present_one_given_again_changes_nothing() -> None:
    secrets = rotated((Secret("a"),), "b", NOW_US)
    assert rotated(secrets, "b", NOW_US + 1) == secrets


def test_an_earlier_one_becomes_the_present_one_again() -> None:
    secrets = rotated(rotated((Secret("a"),), "b", NOW_US), "a", NOW_US + HOUR_US)
    assert secrets == (Secret("b", NOW_US + 25 * HOUR_US), Secret("a"))


def test_nothing_of_it_shows() -> None:
    assert "whsec" not in repr(Secret("whsec_x", 1))


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 20)), max_size=30))
def test_the_last_one_signs_for_ever_and_the_others_are_few_and_end(steps: list[tuple[str, int]]) -> None:
    secrets, now_us = (Secret("first"),), NOW_US
    for text, hours in steps:
        now_us += hours * HOUR_US
        secrets = rotated(secrets, text, now_us)
        assert secrets[-1] == Secret(text)
        assert len(secrets) <= SECRETS_MAX
        assert len({secret.text for secret in secrets}) == len(secrets)
        ends = [secret.until_us for secret in secrets[:-1]]
        assert all(end is not None and end <= now_us + OVERLAP_US for end in ends)
        assert ends == sorted(ends)  # type: ignore[type-var]  # none of them is None
    assert signing(secrets, now_us + OVERLAP_US) == (secrets[-1].text,)


def test_an_ed25519_key_comes_and_goes_with_its_secret() -> None:
    drawn = iter([bytes(32), bytes([1]) * 32])

    def draw(_size: int) -> bytes:
        return next(drawn)

    first = with_key((Secret("a"),), draw)
    assert with_key(first, draw) == first  # made once
    second = with_key(rotated(first, "b", NOW_US), draw)
    assert seeds(first, NOW_US) == (bytes(32),)
    assert seeds(second, NOW_US) == (bytes(32), bytes([1]) * 32)
    assert seeds(second, NOW_US + OVERLAP_US) == (bytes([1]) * 32,)
    back = rotated(second, "a", NOW_US + 1)
    assert [secret.seed for secret in back] == [bytes([1]) * 32, bytes(32)]
    assert "seed" not in repr(first)
