"""One real gateway for the blocks of all pages, in the folder that they are run in."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from flow_fixtures import Gateway, receiver, until  # noqa: F401 - fixtures
from place import Place


@pytest.fixture(scope="session")
def place(
    tmp_path_factory: pytest.TempPathFactory,
    receiver: Any,  # noqa: F811 - a fixture
    until: Callable[..., Any],  # noqa: F811 - a fixture
) -> Iterator[Place]:
    """A folder with a gateway, and in it one of all that the pages speak of."""
    missing = [program for program in ("curl", "openssl", "sqlite3") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"the pages use {', '.join(missing)}, which is not installed here")
    folder = tmp_path_factory.mktemp("place")
    os.environ.pop("GATEWAY_URL", None)
    made = Place(folder, Gateway(folder / ".gateway", {"GATEWAY_UNKNOWN_TYPES": "refuse"}), receiver)
    made.settle(until)
    yield made
    made.gateway.end()
    assert "Traceback" not in made.gateway.said_on_stderr(), made.gateway.said_on_stderr()[-8000:]
