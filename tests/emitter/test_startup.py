"""The guarded start-up and the commands, in interpreters of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import letta_emitter
from letta_emitter import doctor
from letta_emitter.folder import Folder
from letta_emitter.stats import Stats, StatsFile, retire

PACKAGE = Path(letta_emitter.__file__).parent
ROOT = PACKAGE.parent
START_UP_FILE = (PACKAGE / "letta_emitter.pth").read_text()
ON = {"LETTA_EMITTER_ENABLED": "1", "LETTA_EMITTER_REDIS_URL": "redis://127.0.0.1:1/0"}


@pytest.fixture
def python(tmp_path):
    """An interpreter with the start-up file and nothing else installed, as a function: code, environment."""
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    (site,) = home.glob("lib/python*/site-packages")
    (site / "letta_emitter.pth").write_text(START_UP_FILE)

    def run(code: str, *, path: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        plain = {
            name: value for name, value in os.environ.items() if not name.startswith(("LETTA", "PYTHON"))
        }
        return subprocess.run(
            [str(home / "bin" / "python"), "-c", code],
            env=plain | ({"PYTHONPATH": path} if path else {}) | env,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


LOADED = (
    "import sys; print(sorted(name for name in sys.modules if name.startswith(('letta', 'wrapt', 'redis'))))"
)


@pytest.mark.parametrize("value", ["", "0", "off", "nonsense"])
def test_the_start_up_file_does_nothing_unless_switched_on(python, value):
    found = python(LOADED, path=str(ROOT), LETTA_EMITTER_ENABLED=value)
    assert (found.returncode, found.stdout, found.stderr) == (0, "[]\n", "")


def test_the_start_up_file_is_silent_where_the_package_is_missing(python):
    found = python(LOADED, **ON)
    assert (found.returncode, found.stdout, found.stderr) == (0, "[]\n", "")


def test_the_start_up_file_is_silent_where_the_package_is_broken(python, tmp_path):
    broken = tmp_path / "broken" / "letta_emitter"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('broken')")
    found = python("print('up')", path=str(broken.parent), **ON)
    assert (found.returncode, found.stdout, found.stderr) == (0, "up\n", "")


def test_a_process_that_is_not_letta_loads_next_to_nothing_and_prints_nothing(python):
    found = python(LOADED, path=str(ROOT), **ON)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == "['letta_emitter', 'letta_emitter.startup']\n"


def test_the_start_up_costs_a_tools_process_a_few_milliseconds(python):
    timed = "import time; start = time.perf_counter(); import letta_emitter.startup; print(time.perf_counter() - start)"
    taken = min(float(python(timed, path=str(ROOT)).stdout) for _ in range(5))
    assert taken < 0.01


FAKE_LETTA = {
    "letta/__init__.py": "",
    "letta/server/__init__.py": "",
    "letta/server/rest_api/__init__.py": "",
    "letta/server/rest_api/app.py": "",
}


@pytest.fixture
def fake_letta(tmp_path):
    """A package of that name with the one module at which the drain starts; the hooks have tests of their own."""
    for name, text in FAKE_LETTA.items():
        path = tmp_path / "fake" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "fake"


def run_here(code: str, path: Path | str, **env: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LETTA")}
    entries = os.pathsep.join(filter(None, [str(path), str(ROOT)]))
    return subprocess.run(
        [sys.executable, "-c", code],
        env=plain | {"PYTHONPATH": entries} | env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_hooks_come_with_letta_and_the_drain_with_its_server(fake_letta, spool_dir):
    code = (
        "import sys, threading, letta_emitter.startup\n"
        "assert 'letta_emitter.hooks' not in sys.modules\n"
        "import letta\n"
        "assert 'letta_emitter.hooks' in sys.modules and 'letta_emitter.emitter' not in sys.modules\n"
        "assert threading.active_count() == 1\n"
        "import letta.server.rest_api.app\n"
        "assert threading.active_count() == 2\n"
        "print('good')"
    )
    found = run_here(code, fake_letta, **ON, LETTA_EMITTER_SPOOL_DIR=str(spool_dir))
    assert found.stdout == "good\n", found.stderr


def test_a_wrong_setting_is_one_line_and_letta_goes_on(fake_letta):
    env = ON | {"LETTA_EMITTER_STREAM_MAX": "many"}
    code = "import letta_emitter.startup, letta.server.rest_api.app; print('up')"
    found = run_here(code, fake_letta, **env)
    assert found.stdout == "up\n"
    assert len(found.stderr.splitlines()) == 1
    assert "LETTA_EMITTER_STREAM_MAX" in found.stderr


def test_broken_hooks_are_one_line_for_the_whole_tree_of_processes(fake_letta):
    code = (
        "import sys, subprocess, letta_emitter\n"
        "sys.modules['letta_emitter.hooks'] = None\n"
        "import letta_emitter.startup, letta\n"
        "again = 'import sys; sys.modules[\"letta_emitter.hooks\"] = None; import letta_emitter.startup, letta'\n"
        "print(subprocess.run([sys.executable, '-c', again], capture_output=True, text=True).stderr, 'up')"
    )
    found = run_here(code, fake_letta, **ON)
    assert found.stdout == " up\n"
    assert len(found.stderr.splitlines()) == 1
    assert "hooks could not be attached" in found.stderr


def command(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LETTA")}
    return subprocess.run(
        [sys.executable, "-m", "letta_emitter", *arguments],
        env=plain | env,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


def test_run_attaches_without_a_start_up_file_and_chains_to_the_users_sitecustomize(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.mine = True")
    code = "import sys; print(sys.mine, 'letta_emitter.startup' in sys.modules, sys.modules['sitecustomize'].__file__)"
    env = {"PYTHONPATH": str(tmp_path), "LETTA_EMITTER_REDIS_URL": "redis://127.0.0.1:1/0"}
    found = command("run", "--", sys.executable, "-c", code, **env)
    assert found.stdout == f"True True {tmp_path / 'sitecustomize.py'}\n", found.stderr
    assert found.stderr == ""


@pytest.mark.usefixtures("python")
def test_run_attaches_in_an_environment_that_has_only_the_source_tree(tmp_path):
    home = tmp_path / "venv"
    (next(home.glob("lib/python*/site-packages")) / "letta_emitter.pth").unlink()
    code = "import sys; print('letta_emitter.startup' in sys.modules, sys.path[-1])"
    found = command("run", "--", str(home / "bin" / "python"), "-c", code, **ON)
    assert found.stdout == f"True {ROOT}\n", found.stderr


def test_run_becomes_the_command():
    script = "import os, signal, sys; print(os.getpid(), flush=True); signal.pause()"
    process = subprocess.Popen(
        [sys.executable, "-m", "letta_emitter", "run", "--", sys.executable, "-c", script],
        env=os.environ | ON,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert int(process.stdout.readline()) == process.pid
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == -signal.SIGTERM
    process.stdout.close()


def test_run_returns_the_commands_status():
    assert command("run", "--", sys.executable, "-c", "raise SystemExit(7)", **ON).returncode == 7


@pytest.mark.parametrize(
    "arguments", [["run"], ["run", "--"], ["run", "--", "no-such-program"], [], ["unknown"]]
)
def test_wrong_usage_is_2_without_a_traceback(arguments):
    found = command(*arguments)
    assert found.returncode == 2
    assert found.stderr
    assert "Traceback" not in found.stderr


def test_run_with_a_wrong_setting_says_so_and_starts_the_command():
    found = command("run", "--", sys.executable, "-c", "print('up')", LETTA_EMITTER_REDIS_URL="nonsense")
    assert found.stdout == "up\n"
    assert "LETTA_EMITTER_REDIS_URL" in found.stderr


def checks(found: subprocess.CompletedProcess[str]) -> dict[str, dict[str, object]]:
    assert "Traceback" not in found.stderr
    return {check["name"]: check for check in json.loads(found.stdout)["checks"]}


def test_doctor_names_the_setting_that_is_missing():
    found = command("doctor", "--json")
    assert found.returncode == 1
    assert "LETTA_EMITTER_REDIS_URL is not set" in str(checks(found)["settings"]["detail"])


def test_doctor_without_redis_tells_what_waits(make_emitter, event, spool_dir, make_valkey):
    server = make_valkey()
    emitter = make_emitter(server.url)
    for number in range(3):
        emitter.append(event(number))
    emitter.close()
    env = {"LETTA_EMITTER_REDIS_URL": server.url, "LETTA_EMITTER_SPOOL_DIR": str(spool_dir)}
    found = command("doctor", "--json", **env)
    assert found.returncode == 1
    seen = checks(found)
    assert not seen["redis"]["ok"]
    assert not seen["drain"]["ok"]
    assert str(seen["spool"]["detail"]).startswith("3 events")
    assert json.loads(found.stdout)["depth"]["records"] == 3
    text = command("doctor", **env)
    assert "FAIL  redis" in text.stdout


def test_doctor_with_a_running_emitter(*, valkey, make_emitter, event, spool_dir, eventually, look):
    emitter = make_emitter(valkey.url)
    emitter.emit(event(1))
    eventually(lambda: look(valkey.url).count() == 1)
    env = {
        "LETTA_EMITTER_ENABLED": "1",
        "LETTA_EMITTER_REDIS_URL": valkey.url,
        "LETTA_EMITTER_SPOOL_DIR": str(spool_dir),
    }
    # The depth is read from the drain's own file, which it writes at most every tenth of a second.
    eventually(
        lambda: str(checks(command("doctor", "--json", **env))["spool"]["detail"]).startswith("0 events")
    )
    seen = checks(command("doctor", "--json", **env))
    assert seen["drain"]["detail"] == f"held by process {os.getpid()}"
    assert seen["stream"]["detail"] == "letta.events holds 1 of at most 1000000 entries"
    assert all(
        seen[name]["ok"] for name in ("enabled", "settings", "redis", "stream", "spool", "drain", "losses")
    )


def test_doctor_with_a_full_stream_fails(valkey, spool_dir, look):
    look(valkey.url).client.xadd("letta.events", {"a": "b"})
    env = {
        "LETTA_EMITTER_REDIS_URL": valkey.url,
        "LETTA_EMITTER_SPOOL_DIR": str(spool_dir),
        "LETTA_EMITTER_STREAM_MAX": "1",
    }
    start = time.monotonic()
    assert not checks(command("doctor", "--json", **env))["stream"]["ok"]
    assert time.monotonic() - start < 30


def test_doctor_fails_on_a_loss_for_a_day_and_names_it_afterwards(spool_dir, monkeypatch):
    folder = Folder(spool_dir)
    ended = Stats()
    ended.count("failed")
    left = StatsFile(folder, ended)
    left.write()
    left.close()
    monkeypatch.setenv("LETTA_EMITTER_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("LETTA_EMITTER_SPOOL_DIR", str(spool_dir))
    monkeypatch.setattr(doctor, "_hooks", list)
    lost_at = ended.last_loss_at

    def losses(age_s):
        monkeypatch.setattr(time, "time", lambda: lost_at + age_s)
        return next(check for check in doctor.examine().checks if check.name == "losses")

    for _ in range(2):  # as the process left it, and folded into the retired counters
        assert not losses(60).ok
        assert losses(doctor.LOSS_FAILS_S + 1).ok
        assert losses(doctor.LOSS_FAILS_S + 1).detail.startswith("failed: 1; the last one: 20")
        retire(folder)
    assert "last_loss_at" not in doctor.total_counters(folder)
