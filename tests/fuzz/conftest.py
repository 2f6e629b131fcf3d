"""How long to look: shortly and always the same in the suite, anew each time and longer by `just fuzz`."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, settings

TOKEN = "fuzz_token_of_sixteen"
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
settings.register_profile(
    "fuzz",
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True, scope="session")
def _profile() -> Iterator[None]:
    before = settings.get_current_profile_name()
    settings.load_profile("fuzz")
    yield
    settings.load_profile(before)


@dataclass(frozen=True)
class Target:
    """A gateway that runs as its users run it."""

    url: str
    client: httpx.Client
    log: Path
    process: subprocess.Popen[str]
    answers: Counter[int] = field(default_factory=Counter)


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("fuzz")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "LETTA_"))}
    log = folder / "log"
    with log.open("w") as written:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "gateway",
                "dev",
                "--json",
                "--port",
                "0",
                "--data-dir",
                str(folder / "data"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=written,
            text=True,
            env=kept | {"GATEWAY_API_TOKEN": TOKEN},
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, log.read_text()[-4000:]
    url = json.loads(line)["url"]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
        found = Target(url, client, log, process)
        yield found
    print(f"answers by status: {dict(sorted(found.answers.items()))}")
    process.terminate()
    code = process.wait(timeout=60)
    process.stdout.close()
    said = log.read_text()
    assert code == 0, said[-4000:]
    # Whatever came, nothing failed that was not foreseen, in no task.
    assert "Traceback" not in said, said[said.index("Traceback") - 2000 :][:6000]
