"""The simulation beside this file, for the tests of this folder."""

import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from simulation.clock import run
from simulation.plan import Plan
from simulation.run import Simulation, simulate

Simulate = Callable[[Plan], Simulation]


@pytest.fixture
def simulated() -> Simulate:
    """Run a plan in virtual time; it raises where an invariant does not hold."""
    return lambda plan: run(simulate(plan))


@pytest.fixture
def virtually() -> Callable[[Coroutine[Any, Any, None]], None]:
    """Run a coroutine on the virtual clock."""
    return run
