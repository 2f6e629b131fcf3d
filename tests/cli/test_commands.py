"""The commands that speak to a running gateway, against a real one."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

Records = list[dict[str, Any]]
ORGANIZATION = "org-00000000-0000-4000-8000-000000000000"


def until(condition: Callable[[], bool], *, within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def records(result: Any) -> Records:
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def ask(command: Any, dev: Any) -> Callable[..., Any]:
    """Run a command against the running gateway, found through its data directory."""

    def run(*arguments: str) -> Any:
        return command(*arguments, "--data-dir", str(dev.data_dir))

    return run


@pytest.fixture
def emit(command: Any, dev: Any) -> Callable[..., dict[str, Any]]:
    def run(*arguments: str) -> dict[str, Any]:
        return records(command("emit", *arguments, "--json", "--data-dir", str(dev.data_dir)))[0]

    return run


@pytest.fixture
def subscription(ask: Callable[..., Any]) -> Iterator[Callable[..., dict[str, Any]]]:
    made: list[str] = []

    def create(*arguments: str) -> dict[str, Any]:
        found = records(ask("subscriptions", "create", "--json", *arguments))[0]
        made.append(found["id"])
        return found

    yield create
    for subscription_id in made:
        ask("subscriptions", "delete", subscription_id)


def test_a_subscription_from_creation_to_deletion(ask: Callable[..., Any]) -> None:
    made = records(
        ask(
            *("subscriptions", "create", "--json", "--sink", "http://127.0.0.1:9/in"),
            *("--type", "agent.step.completed", "--type", "com.example.other", "--name", "mine"),
            *("--filter", '{"exact": {"partitionkey": "agent-1"}}', "--config", '{"format": "structured"}'),
            *("--header", "X-Team: blue", "--organization", ORGANIZATION),
        )
    )[0]
    assert made["secret"].startswith("whsec_")
    assert made["types"] == ["com.letta.agent.step.completed", "com.example.other"]
    assert made["filters"] == [{"exact": {"partitionkey": "agent-1"}}]
    assert made["config"]["format"] == "structured"
    assert made["protocolsettings"]["headers"] == {"X-Team": "***"}
    assert made["organization"] == ORGANIZATION
    mine = made["id"]

    shown = records(ask("subscriptions", "show", mine, "--json"))[0]
    assert "secret" not in shown
    assert shown["state"] == "active"
    (read,) = records(ask("subscriptions", "show", mine, "--json"))
    assert records(ask("subscriptions", "update", mine, "--name", "yours", "--json"))[0]["name"] == "yours"
    since = ("--unchanged-since", read["updated_at"])
    late = ask("subscriptions", "update", mine, "--name", "theirs", *since)
    assert (late.returncode, "Nothing was changed now" in late.stderr) == (1, True)
    (read,) = records(ask("subscriptions", "show", mine, "--json"))
    since = ("--unchanged-since", read["updated_at"])
    (named,) = records(ask("subscriptions", "update", mine, "--name", "yours", *since, "--json"))
    assert named["name"] == "yours"
    assert records(ask("subscriptions", "pause", mine, "--json"))[0]["state"] == "paused"
    assert records(ask("subscriptions", "resume", mine, "--from", "now", "--json"))[0]["state"] == "active"
    assert mine in [s["id"] for s in records(ask("subscriptions", "list", "--json"))]
    assert mine in ask("subscriptions", "list").stdout
    assert "yours" in ask("subscriptions", "show", mine).stdout

    assert ask("subscriptions", "delete", mine).returncode == 0
    gone = ask("subscriptions", "show", mine)
    assert gone.returncode == 1
    assert "There is no subscription with this id." in gone.stderr
    assert gone.stdout == ""


def test_a_secret_of_ones_own(subscription: Callable[..., dict[str, Any]]) -> None:
    mine = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert subscription("--sink", "http://127.0.0.1:9/", "--secret", mine)["secret"] == mine


def test_the_secret_is_shown_with_the_table_too(ask: Callable[..., Any]) -> None:
    made = ask("subscriptions", "create", "--sink", "http://127.0.0.1:9/")
    assert made.returncode == 0
    assert re.search(r"whsec_\S+", made.stdout)
    assert "shown this once" in made.stderr
    found = re.search(r"sub_\w+", made.stdout)
    assert found is not None
    assert ask("subscriptions", "delete", found[0]).returncode == 0


def test_the_way_of_an_event_from_emit_to_listen(
    start: Callable[..., Any],
    ask: Callable[..., Any],
    emit: Callable[..., dict[str, Any]],
    subscription: Callable[..., dict[str, Any]],
) -> None:
    secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    listener = start("listen", "--port", "0", "--secret", secret, "--count", "1", "--json")
    sink = re.search(r"http://\S+", listener.said("Listening on"))
    assert sink is not None
    subscription("--sink", sink[0], "--secret", secret, "--type", "agent.step.completed")
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    published = emit(
        *("agent.step.completed", "--data", '{"step_id": "step-1", "status": "completed"}'),
        *("--organization-id", ORGANIZATION, "--agent-id", "agent-1", "--run-id", "run-1"),
        *("--traceparent", traceparent),
    )
    got = json.loads(listener.line())
    assert listener.popen.wait(timeout=20) == 0
    assert got["verified_v1"]["verdict"] == got["verified_letta"]["verdict"] == "verified"
    assert got["duplicate"] is False
    assert got["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    (event,) = got["events"]
    assert event["id"] == published["id"]
    assert event["type"] == published["type"] == "com.letta.agent.step.completed"
    assert event["partitionkey"] == "agent-1"
    assert json.loads(got["body"])["data"] == {"run_id": "run-1", "step_id": "step-1", "status": "completed"}

    (item,) = records(ask("events", "--json", "--run-id", "run-1"))
    assert item["event"]["id"] == published["id"]
    assert published["id"] in ask("events", "--type", "agent.step.completed").stdout
    (delivery,) = records(ask("deliveries", "--event", str(item["position"]), "--json"))
    assert delivery["id"] == got["delivery_id"]
    assert delivery["id"] in ask("deliveries", "--event", str(item["position"])).stdout
    assert records(ask("deliveries", delivery["id"], "--json"))[0]["state"] == "delivered"
    assert "200" in ask("deliveries", delivery["id"]).stdout


def test_tail_begins_where_it_is_told_and_follows(
    dev: Any, start: Callable[..., Any], ask: Callable[..., Any], emit: Callable[..., dict[str, Any]]
) -> None:
    def publish(number: int) -> str:
        data = json.dumps({"number": number})
        return str(emit("com.example.counted", "--source", "https://example/c", "--data", data)["id"])

    first, second = publish(1), publish(2)
    listing = ("events", "--type", "com.example.counted", "--json", "--oldest-first")
    until(lambda: len(records(ask(*listing))) == 2)
    positions = {item["event"]["id"]: item["position"] for item in records(ask(*listing))}
    assert positions[first] < positions[second]
    where = ("--data-dir", str(dev.data_dir), "--type", "com.example.counted", "--json")
    tail = start("tail", "--from", str(positions[second]), *where)
    assert json.loads(tail.line())["event"]["id"] == second
    third = publish(3)
    assert json.loads(tail.line())["event"]["id"] == third
    assert tail.end(signal.SIGINT) == 0
    assert tail.stderr.read_text() == ""


def test_tail_outlives_a_restart_and_neither_loses_nor_repeats(
    start: Callable[..., Any], command: Any, tmp_path: Path, free_port: int
) -> None:
    def gateway() -> Any:
        process = start("dev", "--port", str(free_port), "--data-dir", str(tmp_path / "data"), "--json")
        process.line()
        return process

    def publish(event_id: str) -> None:
        more = ("--data", "1", "--event-id", event_id, "--data-dir", str(tmp_path / "data"))
        assert command("emit", "com.example.t", "--source", "https://example/t", *more).returncode == 0

    first = gateway()
    tail = start("tail", "--from", "0", "--data-dir", str(tmp_path / "data"), "--json")
    publish("evt_1")
    assert json.loads(tail.line())["event"]["id"] == "evt_1"
    assert first.end() == 0
    second = gateway()
    publish("evt_2")
    assert json.loads(tail.line())["event"]["id"] == "evt_2"
    assert tail.end(signal.SIGTERM) == 0
    assert "Traceback" not in tail.stderr.read_text()
    assert second.end() == 0


def test_tail_from_the_beginning_has_everything_once(
    dev: Any, start: Callable[..., Any], ask: Callable[..., Any], emit: Callable[..., dict[str, Any]]
) -> None:
    emit("com.example.first", "--source", "https://example/c", "--data", "1")
    until(lambda: len(records(ask("events", "--type", "com.example.first", "--json"))) == 1)
    everything = [item["position"] for item in records(ask("events", "--json", "--oldest-first"))]
    tail = start("tail", "--from", "0", "--data-dir", str(dev.data_dir), "--json")
    assert [json.loads(tail.line())["position"] for _ in everything] == everything
    assert tail.end(signal.SIGINT) == 0


def test_what_is_no_event_is_found_in_quarantine_with_its_reason(ask: Callable[..., Any], dev: Any) -> None:
    with Redis.from_url(dev.said["redis_url"]) as redis:
        entry = redis.xadd(dev.said["stream"], {"event": b'{"specversion": "1.0"}'}).decode()
    until(lambda: entry in ask("quarantine", "list", "--json").stdout)
    (found,) = [r for r in records(ask("quarantine", "list", "--json")) if r["entry_id"] == entry]
    assert {error["pointer"] for error in found["errors"]} >= {"/id", "/source", "/type"}
    assert found["id"] in ask("quarantine", "list").stdout
    shown = records(ask("quarantine", "show", found["id"], "--json"))[0]
    assert '{"specversion": "1.0"}' in shown["payload"]
    assert "/source" in ask("quarantine", "show", found["id"]).stdout
    assert ask("quarantine", "show", "nonsense").returncode == 1
    redriven = ask("quarantine", "redrive", found["id"], "--json")
    assert redriven.returncode == 1
    [kept] = [json.loads(line) for line in redriven.stdout.splitlines()]
    assert (kept["id"], kept["position"]) == (found["id"], None)
    assert "/source" in kept["why"]
    assert "1 of 1 stay in quarantine" in redriven.stderr
    assert f"{found['id']} stays" in ask("quarantine", "redrive", "--all").stdout
    assert ask("quarantine", "redrive").returncode == 2
    assert ask("quarantine", "redrive", found["id"], "--all").returncode == 2
    assert ask("quarantine", "discard", found["id"]).returncode == 0
    assert entry not in ask("quarantine", "list", "--state", "all", "--json").stdout
    assert ask("quarantine", "discard", found["id"]).returncode == 1


def test_the_same_event_id_is_taken_once(
    ask: Callable[..., Any], emit: Callable[..., dict[str, Any]]
) -> None:
    for _ in range(2):
        emit("com.example.same", "--source", "https://example/c", "--data", "{}", "--event-id", "evt_same")
    emit("com.example.after", "--source", "https://example/c", "--data", "{}")
    until(lambda: len(records(ask("events", "--type", "com.example.after", "--json"))) == 1)
    assert len(records(ask("events", "--type", "com.example.same", "--json"))) == 1


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("emit", "agent.step.completed", "--data", "{"), "--data: is not valid JSON"),
        (
            ("emit", "agent.step.completed", "--data", "[]", "--organization-id", "o"),
            "--data: must be a JSON object",
        ),
        (("emit", "agent.step.completed", "--data", "{}"), "step_id"),
        (
            ("emit", "agent.step.completed", "--data", "{}", "--organization-id", "o", "--agent-id", "a"),
            "step_id",
        ),
        (("emit", "com.example.x", "--data", "{}", "--source", "not a uri"), "/source"),
        (("emit", "com.example.x", "--data", "{}", "--source", "s", "--traceparent", "x"), "--traceparent"),
        (("subscriptions", "create", "--sink", "http://127.0.0.1:9/", "--filter", "nonsense"), "--filter"),
        (("subscriptions", "create", "--sink", "http://127.0.0.1:9/", "--header", "nonsense"), "--header"),
        (("subscriptions", "create"), "--sink"),
        (("subscriptions", "update", "sub_x"), "at least one"),
        (("subscriptions", "resume", "sub_x", "--from", "yesterday"), "--from"),
        (("deliveries", "--event", "1", "--undelivered"), "--event"),
        (("listen",), "--port"),
        (("listen", "--forward", "http://127.0.0.1:9/"), "--subscription"),
        (("listen", "--port", "0", "--secret", "whsec_"), "--secret"),
        (("contracts", "show", "no.such.type"), "no.such.type"),
        (("contracts", "show", "agent.step.completed", "--version", "99"), "1"),
        (("archive", "--before", "banana"), "--before: 'banana' is no time"),
        (("archive", "--before", "banana"), "or a position, such as 1000"),
        (("archive", "--before", "2026-01-01T00:00:00"), "with its offset"),
        (("archive", "--before", "0"), "--before: 0 is no position"),
        (("archive", "--before", "9" * 30), "is no position"),
        (("events", "--since", "yesterday"), "--since: 'yesterday' is no time"),
        (("deliveries", "--until", "2026-13-01T00:00:00Z"), "--until"),
        (("subscriptions", "replay", "sub_x", "--since", "yesterday"), "--since"),
        (("tokens", "create", "--admin", "--expires-at", "soon"), "--expires-at"),
        (("nonsense",), "nonsense"),
    ],
)
def test_wrong_usage_is_exit_code_2_with_what_is_wrong(
    command: Any, dev: Any, arguments: Any, what: str
) -> None:
    result = command(*arguments, cwd=dev.data_dir.parent)
    assert result.returncode == 2, result.stderr
    assert what in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_what_the_gateway_refuses_names_every_member(ask: Callable[..., Any]) -> None:
    refused = ask(
        *("subscriptions", "create", "--sink", "http://10.0.0.1/"),
        *("--config", '{"format": "smoke signals", "max_concurrency": 0}'),
    )
    assert refused.returncode == 1
    assert "/config/format" in refused.stderr
    assert "/config/max_concurrency" in refused.stderr


def test_no_gateway_there(command: Any, tmp_path: Path) -> None:
    for arguments in (
        ("events",),
        ("tail",),
        ("subscriptions", "list"),
        ("emit", "a.b", "--source", "s", "--data", "1"),
    ):
        result = command(*arguments, "--data-dir", str(tmp_path))
        assert result.returncode == 1
        assert "No gateway runs on the data directory" in result.stderr
        assert "letta-gateway dev" in result.stderr


def test_a_gateway_that_was_killed_does_not_answer(
    command: Any, dev: Any, tmp_path: Path, free_port: int
) -> None:
    said = json.loads((dev.data_dir / "gateway.json").read_text())
    (tmp_path / "gateway.json").write_text(json.dumps(said | {"url": f"http://127.0.0.1:{free_port}"}))
    result = command("events", "--data-dir", str(tmp_path))
    assert result.returncode == 1
    assert "does not answer" in result.stderr


def test_the_environment_names_a_gateway(command: Any, dev: Any) -> None:
    env = {"GATEWAY_URL": dev.said["url"], "GATEWAY_API_TOKEN": dev.said["token"]}
    assert command("subscriptions", "list", env=env).returncode == 0


@pytest.mark.parametrize(
    ("env", "code", "what"),
    [
        ({"GATEWAY_URL": "not a url", "GATEWAY_API_TOKEN": "t"}, 2, "GATEWAY_URL"),
        ({"GATEWAY_URL": "http://127.0.0.1:99999", "GATEWAY_API_TOKEN": "t"}, 2, "1 to 65535"),
        ({"GATEWAY_URL": "http://127.0.0.1:1"}, 2, "GATEWAY_API_TOKEN"),
        ({"GATEWAY_URL": "http://127.0.0.1:1", "GATEWAY_API_TOKEN": "t"}, 1, "does not answer"),
    ],
)
def test_a_wrong_environment_is_told(command: Any, env: dict[str, str], code: int, what: str) -> None:
    result = command("subscriptions", "list", env=env)
    assert result.returncode == code
    assert what in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_token_is_told_and_not_repeated(command: Any, dev: Any) -> None:
    env = {"GATEWAY_URL": dev.said["url"], "GATEWAY_API_TOKEN": "hunter2"}
    result = command("subscriptions", "list", env=env)
    assert result.returncode == 1
    assert "does not know this token" in result.stderr
    assert "hunter2" not in result.stderr


def test_something_else_than_a_gateway_answers(command: Any, dev: Any) -> None:
    # The emitter's Redis hangs up on HTTP; the root page of the gateway is no list of it.
    redis = dev.said["redis_url"].replace("redis://", "http://").removesuffix("/0")
    result = command("events", env={"GATEWAY_URL": redis, "GATEWAY_API_TOKEN": "t"})
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    for path in ("/nowhere", "/registry"):
        env = {"GATEWAY_URL": dev.said["url"] + path, "GATEWAY_API_TOKEN": dev.said["token"]}
        result = command("events", env=env)
        assert result.returncode == 1
        assert f"names the path {path}: unless a proxy serves the gateway there" in result.stderr
        assert f"it should be {dev.said['url']}." in result.stderr


def test_redis_that_is_not_there_is_told_and_the_event_kept(
    command: Any, tmp_path: Path, free_port: int
) -> None:
    env = {"LETTA_EMITTER_SPOOL_DIR": str(tmp_path / "spool")}
    arguments = ("emit", "com.example.x", "--source", "s", "--data", "1")
    result = command(
        *arguments, "--redis-url", f"redis://127.0.0.1:{free_port}/0", "--timeout", "0.3", env=env
    )
    assert result.returncode == 1
    assert "not in Redis" in result.stderr
    assert "Traceback" not in result.stderr


def test_ctrl_c_while_a_command_waits_is_no_traceback(
    start: Callable[..., Any], tmp_path: Path, free_port: int
) -> None:
    spool = tmp_path / "spool"
    arguments = ("emit", "com.example.x", "--source", "s", "--data", "1", "--timeout", "60")
    process = start(
        *arguments,
        *("--redis-url", f"redis://127.0.0.1:{free_port}/0"),
        env={"LETTA_EMITTER_SPOOL_DIR": str(spool)},
    )
    until(spool.exists)
    assert process.end(signal.SIGINT) == 1
    assert "Traceback" not in process.stderr.read_text()


def test_an_unusable_emitter_setting_is_told(command: Any) -> None:
    result = command("emit", "com.example.x", "--source", "s", "--data", "1", "--redis-url", "http://x")
    assert result.returncode == 1
    assert "LETTA_EMITTER_REDIS_URL" in result.stderr


def test_a_reader_that_goes_away_is_no_error_message() -> None:
    line = f"{sys.executable} -m gateway contracts show agent.step.completed | true"
    result = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=60)
    assert result.stderr == ""


def test_output_that_is_not_a_terminal_has_no_colours_and_no_cut_ids(
    ask: Callable[..., Any], subscription: Callable[..., dict[str, Any]]
) -> None:
    made = subscription("--sink", "http://127.0.0.1:9/" + "a" * 100)
    listed = ask("subscriptions", "list").stdout
    assert "\x1b" not in listed
    assert made["id"] in listed
    assert made["sink"] in listed


def test_what_comes_over_the_wire_never_drives_the_terminal(
    ask: Callable[..., Any], emit: Callable[..., dict[str, Any]]
) -> None:
    emit("com.example.evil", "--source", "https://e/x", "--data", "1", "--subject", "[red]x[/red]")
    until(lambda: "[red]x[/red]" in ask("events", "--type", "com.example.evil").stdout)


def test_listen_refuses_a_taken_port(command: Any, dev: Any) -> None:
    result = command("listen", "--port", str(httpx.URL(dev.said["url"]).port))
    assert result.returncode == 1
    assert "is taken" in result.stderr


def test_listen_ends_cleanly_on_ctrl_c(start: Callable[..., Any]) -> None:
    listener = start("listen", "--port", "0")
    listener.said("Listening on")
    assert listener.end(signal.SIGINT) == 0
    assert "0 received" in listener.stderr.read_text()
    assert "Traceback" not in listener.stderr.read_text()


def test_listen_with_a_count_fails_where_a_signature_is_wrong(start: Callable[..., Any]) -> None:
    secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    listener = start("listen", "--port", "0", "--secret", secret, "--count", "1", "--status", "503")
    sink = re.search(r"http://\S+", listener.said("Listening on"))
    assert sink is not None
    assert httpx.post(sink[0], content=b"{}").status_code == 503
    assert listener.popen.wait(timeout=20) == 1
    assert "1 of 1 were not verified" in listener.stderr.read_text()


def test_contracts_are_listed_shown_checked_and_exported(command: Any, tmp_path: Path) -> None:
    listed = records(command("contracts", "list", "--json"))
    assert "com.letta.agent.step.completed" in [record["type"] for record in listed]
    shown = json.loads(command("contracts", "show", "agent.step.completed").stdout)
    assert shown["title"] == "agent.step.completed"
    assert command("contracts", "check").returncode == 0
    folder = str(tmp_path / "contracts")
    assert command("contracts", "export", folder).returncode == 0
    assert command("contracts", "check", folder).returncode == 0
    (tmp_path / "contracts/com.letta/agent.step.completed/1.json").write_text("{}")
    damaged = command("contracts", "check", folder)
    assert damaged.returncode == 1
    assert "agent.step.completed/1.json" in damaged.stdout


def test_the_version_and_the_help(command: Any) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", command("--version").stdout)
    assert "subscriptions" in command("--help").stdout


def test_without_the_gateway_extra_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; from gateway.__main__ import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 1
    assert "pip install 'letta-gateway[gateway]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_shell_can_complete_the_commands() -> None:
    env = {
        **os.environ,
        "_LETTA_GATEWAY_COMPLETE": "complete_bash",
        "COMP_WORDS": "letta-gateway subs",
        "COMP_CWORD": "1",
    }
    script = Path(sys.executable).with_name("letta-gateway")
    result = subprocess.run([script], capture_output=True, text=True, env=env, check=False, timeout=60)
    assert "subscriptions" in result.stdout
