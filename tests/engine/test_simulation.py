"""S2 to S3, S6b and S1e in simulation: dispatch, outcome, journal; with crashes, stops, outages, overflow, commands."""

from collections.abc import Callable

import pytest
from simulation.plan import Plan
from simulation.run import Simulation

from gateway.deliver.world import Limits

Simulate = Callable[[Plan], Simulation]


@pytest.mark.parametrize("seed", [*range(12), 1005])
def test_nothing_is_lost_with_everything_that_can_happen(simulated: Simulate, seed: int) -> None:
    run = simulated(Plan(seed=seed))
    assert run.sinks.posts
    assert run.processes > 1


@pytest.mark.parametrize("seed", range(100, 104))
def test_nothing_is_lost_where_nothing_breaks(simulated: Simulate, seed: int) -> None:
    run = simulated(Plan(seed=seed, crash=0, stop=0, outage=0, lost_answer=0))
    assert run.processes == 1


@pytest.mark.parametrize("seed", range(200, 212))
def test_s2d_a_process_that_dies_again_and_again_repeats_only_what_was_not_journaled(
    simulated: Simulate, seed: int
) -> None:
    run = simulated(Plan(seed=seed, crash=0.3, outage=0, action_gap_s=0.3))
    assert run.processes > 10


@pytest.mark.parametrize("seed", range(300, 310))
def test_storage_that_is_away_for_long_and_loses_answers(simulated: Simulate, seed: int) -> None:
    simulated(Plan(seed=seed, crash=0.02, outage=0.15, outage_s=30, lost_answer=0.2))


@pytest.mark.parametrize("seed", range(400, 404))
def test_the_bounds_as_they_are_in_production(simulated: Simulate, seed: int) -> None:
    simulated(Plan(seed=seed, crash=0.03, limits=Limits()))


def test_many_subscriptions_and_events_close_together(simulated: Simulate) -> None:
    simulated(Plan(seed=500, actions=200, action_gap_s=0.05, crash=0.02, subscriptions=8))


def test_a_run_is_the_same_every_time(simulated: Simulate) -> None:
    first, second = simulated(Plan(seed=7, actions=40)), simulated(Plan(seed=7, actions=40))
    assert [(post.number, post.position, post.started_us) for post in first.sinks.posts] == [
        (post.number, post.position, post.started_us) for post in second.sinks.posts
    ]
