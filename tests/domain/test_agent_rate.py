"""The rate of agents: what passes in any stretch of time, and when what does not would have."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.agent_rate import BURST_S, AgentRates

A, B = ("org-1", "agent-a"), ("org-1", "agent-b")
SECOND = 1_000_000
START = 1_767_225_600 * SECOND


@given(
    st.floats(0.01, 1_000_000),
    st.lists(st.tuples(st.integers(0, 5 * SECOND), st.integers(1, 50)), min_size=1, max_size=60),
)
def test_no_more_passes_than_the_burst_and_the_rate_allow(per_second, arrivals):
    rates, now, passed = AgentRates(per_second), START, 0
    last = 0
    for pause, count in arrivals:
        now += pause
        wait = rates.wait_us(A, now)
        assert wait >= 0
        if wait == 0:
            rates.take(A, now, count)
            # What one request brings in beyond what was left is paid by waiting.
            passed, last = passed + count, count
    allowed = max(1, BURST_S * per_second) + (now - START) / SECOND * per_second + last
    assert passed <= allowed + 1


@given(st.floats(0.01, 10_000), st.integers(1, 200))
def test_after_the_wait_it_may(per_second, count):
    rates = AgentRates(per_second)
    rates.take(A, START, count)
    wait = rates.wait_us(A, START)
    assert rates.wait_us(A, START + wait) == 0
    assert wait == 0 or rates.wait_us(A, START + wait - 1) > 0
    assert rates.wait_us(B, START) == 0


@given(st.floats(0.01, 10_000), st.lists(st.integers(0, SECOND), max_size=100))
def test_what_is_too_much_gets_moments_in_order_a_step_apart(per_second, pauses):
    rates, now, moments = AgentRates(per_second), START, []
    for pause in pauses:
        now += pause
        moments.append(rates.take(A, now))
        assert moments[-1] >= now
    assert moments == sorted(moments)
    late = [moment for moment, before in zip(moments[1:], moments, strict=False) if moment > before]
    assert len(late) <= len(moments)


def test_a_quiet_agent_has_its_burst_again():
    rates = AgentRates(2)
    assert [rates.take(A, START) for _ in range(20)] == [START] * 20
    assert rates.take(A, START) == START + SECOND // 2
    later = START + 20 * SECOND
    assert [rates.take(A, later) for _ in range(20)] == [later] * 20
    assert rates.wait_us(A, later) == SECOND // 2


def test_agents_that_were_quiet_for_longest_are_forgotten():
    rates = AgentRates(1, agents_max=2)
    for number in range(3):
        rates.take(("org-1", f"agent-{number}"), START, 1_000)
    assert [rates.wait_us(("org-1", f"agent-{number}"), START) > 0 for number in range(3)] == [
        False,
        True,
        True,
    ]
