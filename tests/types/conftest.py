"""The environment with the generators and validators of others, made where it is missing."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import contract_tools


@pytest.fixture(scope="session")
def tools() -> ModuleType:
    """`contract_tools`, with its environment there."""
    contract_tools.make()
    return contract_tools
