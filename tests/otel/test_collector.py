"""The configuration in `otel/collector/`: taken by a collector where there is one, and held to what is documented.

No package index that the tests use has an official collector. Whoever has one on the PATH has it asked as well.
"""

import copy
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from collector_faults import faults
from collector_schema import COMPONENTS

COLLECTOR = Path(__file__).resolve().parents[2] / "otel" / "collector" / "letta-gateway.yaml"
CONFIG = yaml.safe_load(COLLECTOR.read_text())
GIVEN = {
    "TRACES_ENDPOINT": "https://127.0.0.1:4318",
    "LETTA_GATEWAY_TARGET": "127.0.0.1:8080",
    "LETTA_GATEWAY_TOKEN": "lgw_token",
}


def changed(path: str, value: object) -> dict:
    """The configuration with one thing changed; None: without it."""
    config = copy.deepcopy(CONFIG)
    *above, last = path.split(".")
    inner = config
    for name in above:
        inner = inner.setdefault(name, {})
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return config


def test_every_setting_is_known_and_every_component_is_there_and_used():
    assert faults(CONFIG) == []


OTLP, BATCH, EXPORT = "receivers.otlp.protocols", "processors.batch", "exporters.otlphttp/traces"
TRACES = "service.pipelines.traces"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            f"{OTLP}.grpc.endpiont",
            "127.0.0.1:1",
            "receivers.otlp.protocols.grpc.endpiont: there is no such setting",
        ),
        (f"{OTLP}.grpc.endpoint", "127.0.0.1", "HOST:PORT"),
        (f"{OTLP}.grpc.endpoint", "127.0.0.1:4318", "127.0.0.1:4318: two listen there"),
        ("receivers.otlp.protocols", None, "receivers.otlp.protocols: has to be there"),
        (f"{BATCH}.timeout", 2, "a duration such as 2s"),
        (f"{BATCH}.send_batch_size", "1024", "a whole number"),
        (f"{BATCH}.send_batch_max_size", 12, "a batch may be no larger than the largest"),
        ("processors.memory_limiter.limit_mib", 128, "the spike is to be less than the limit"),
        ("processors.memory_limiter.check_interval", None, "check_interval: has to be there"),
        ("processors.transform/bounds.error_mode", "ignored", "one of ignore, silent, propagate"),
        (
            "processors.transform/bounds.trace_statements",
            [{"context": "span", "statements": ["drop()"]}],
            "OTTL",
        ),
        ("processors.filter", {}, "processors.filter: there is no such component"),
        (f"{EXPORT}.endpoint", None, "exporters.otlphttp/traces.endpoint: has to be there"),
        (f"{EXPORT}.compression", "brotli", "one of gzip"),
        (f"{EXPORT}.retry_on_failure.max_time", "300s", "there is no such setting"),
        (f"{EXPORT}.sending_queue", True, "settings by name"),
        (
            "exporters.otlphttp/more",
            {"endpoint": "https://h"},
            "exporters.otlphttp/more: it is there and not used",
        ),
        (f"{TRACES}.exporters", ["otlphttp/other"], "exporters.otlphttp/other: it is used and not there"),
        (f"{TRACES}.exporters", ["prometheus"], "prometheus has no traces"),
        (f"{TRACES}.receivers", [], "receivers: there is none"),
        (f"{TRACES}.exporter", ["otlphttp/traces"], "service.pipelines.traces.exporter: not known"),
        ("service.pipelines.spans", CONFIG["service"]["pipelines"]["traces"], "there is no such signal"),
        ("service.extensions", [], "extensions.health_check: it is there and not used"),
        ("service.extensions", ["health_check", "zpages"], "extensions.zpages: it is used and not there"),
        ("exporter", {}, "exporter: not known here"),
    ],
)
def test_what_the_collector_would_refuse_is_found(path, value, said):
    assert any(said in fault for fault in faults(changed(path, value))), faults(changed(path, value))


def test_memory_is_looked_after_first_and_what_is_left_goes_in_batches():
    for pipeline in CONFIG["service"]["pipelines"].values():
        assert pipeline["processors"][0] == "memory_limiter"
        assert pipeline["processors"][-1] == "batch"
    assert set(CONFIG["service"]["pipelines"]) == {"traces", "metrics"}


def test_it_knows_of_no_component_that_is_not_used():
    used = {kind: {name.partition("/")[0] for name in CONFIG[kind]} for kind in COMPONENTS}
    assert used == {kind: set(known) for kind, known in COMPONENTS.items()}


def test_it_listens_on_this_machine_and_has_its_secrets_from_outside():
    text = COLLECTOR.read_text()
    assert set(re.findall(r"endpoint: ([0-9.]+):", text)) == {"127.0.0.1"}
    told = set(re.findall(r"^# {3}([A-Z_]+) ", text, re.MULTILINE))
    assert set(re.findall(r"\$\{env:([A-Z_]+)\}", text)) == told == set(GIVEN)
    assert "credentials: ${env:LETTA_GATEWAY_TOKEN}" in text


@pytest.mark.skipif(shutil.which("otelcol-contrib") is None, reason="otelcol-contrib is not on the PATH")
def test_a_collector_takes_it():
    done = subprocess.run(
        ["otelcol-contrib", "validate", f"--config={COLLECTOR}"],
        env=os.environ | GIVEN,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
