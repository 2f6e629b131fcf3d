"""Build the wheel, install it alone into a fresh environment, and use it as its users do.

What is checked: the packages and data files are in it, the start-up file of the emitter lands beside them
and does nothing unasked, the base installs without the gateway and says so, and the demo runs from it.
"""

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NEEDED = (
    "letta_emitter.pth",
    "contracts/asyncapi.json",
    "contracts/com.letta/agent.step.completed/1.json",
    "contracts/com.letta/agent.step.completed/1.py",
    "contracts/com.letta/agent.step.completed/1.ts",
    "gateway/adapters/sql/migrations/versions/0001_first.py",
    "contracts/openapi.json",
    "gateway/py.typed",
    "schemas/py.typed",
)
UNWANTED = ("tests/", "docs/")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        wheel = _build(Path(folder))
        _check_contents(wheel)
        python = _environment(Path(folder) / "base")
        _install(python, str(wheel))
        _check_base(python)
        _install(python, f"{wheel}[gateway]")
        _check_gateway(python)
    print("the wheel is whole, installs alone, and runs the demo")
    return 0


def _build(folder: Path) -> Path:
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _check_contents(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    missing = [name for name in NEEDED if name not in names]
    extra = [name for name in names if name.startswith(UNWANTED)]
    if missing or extra:
        raise SystemExit(f"the wheel lacks {missing} and has {extra} too many")


def _environment(home: Path) -> str:
    venv.create(home, with_pip=True)
    python = str(home / "bin" / "python")
    _run(python, "-m", "pip", "install", "--quiet", "--upgrade", "pip")
    return python


def _install(python: str, what: str) -> None:
    _run(python, "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt"), what)


def _check_base(python: str) -> None:
    silent = _run(python, "-c", "import sys; print('letta_emitter' in sys.modules)")
    if silent.strip() != "False":
        raise SystemExit("the emitter loads although nothing asked for it")
    _run(python, "-c", "import schemas, contracts, otel.traceparent, letta_emitter")
    told = subprocess.run(
        [python, "-m", "gateway", "dev"], capture_output=True, text=True, check=False, env=_clean()
    )
    if told.returncode == 0 or "letta-gateway[gateway]" not in told.stderr or "Traceback" in told.stderr:
        raise SystemExit(f"without its extra the gateway should say what to install, not: {told.stderr}")


def _check_gateway(python: str) -> None:
    command = Path(python).with_name("letta-gateway")
    _run(str(command), "--help")
    _run(str(command), "demo", "--once")


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _run(*command: str, cwd: Path | None = None) -> str:
    # Away from the checkout, so that what is imported is what was installed.
    where = cwd or Path(tempfile.gettempdir())
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False, env=_clean())
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
