"""The emitter's counters in Letta's own metrics, where it has any."""

import subprocess
import sys

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from letta_emitter.folder import Folder
from letta_emitter.meters import offer
from letta_emitter.stats import LOST, Stats
from otel.metrics_offered import Offer


@pytest.fixture
def reader():
    return InMemoryMetricReader()


def offered(reader):
    return Offer(MeterProvider([reader], shutdown_on_exit=False), "letta_emitter", "0")


def figures(reader):
    data = reader.get_metrics_data()
    return {
        (metric.name, *(point.attributes or {}).values()): point.value
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


def test_what_is_counted_is_exported(reader, tmp_path):
    stats, folder = Stats(), Folder(tmp_path)
    offer(offered(reader), stats, folder)
    stats.count("emitted", 3)
    stats.count("published", 2)
    stats.count("overflow")
    found = figures(reader)
    assert found.pop(("letta_emitter.events.emitted",)) == 3
    assert found.pop(("letta_emitter.events.published",)) == 2
    assert found == {("letta_emitter.events.lost", reason): int(reason == "overflow") for reason in LOST}
    stats.role = "drain"
    assert figures(reader)["letta_emitter.spool.size",] == folder.size_bytes()


def test_a_figure_that_cannot_be_read_is_left_out_and_nobody_else_suffers(reader, tmp_path):
    class Broken(Stats):
        def get(self, name):
            if name == "emitted":
                raise OSError("gone")
            return super().get(name)

    offer(offered(reader), Broken(), Folder(tmp_path / "nowhere"))
    found = figures(reader)
    assert ("letta_emitter.events.emitted",) not in found
    assert found["letta_emitter.events.published",] == 0


SCRIPT = """
import sys
from letta_emitter.emitter import Emitter
from letta_emitter.meters import offer_to_letta
from letta_emitter.settings import EmitterSettings
from opentelemetry import trace  # as Letta has it in any case
emitter = Emitter(EmitterSettings.from_env())
{before}
print(offer_to_letta(emitter), "opentelemetry.sdk.metrics" in sys.modules)
"""
SETS_ONE_UP = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
metrics.set_meter_provider(MeterProvider(shutdown_on_exit=False))
"""


@pytest.mark.parametrize(("before", "said"), [("", "False False"), (SETS_ONE_UP, "True True")])
def test_it_is_offered_only_where_letta_exports(before, said, tmp_path):
    env = {"LETTA_EMITTER_REDIS_URL": "redis://127.0.0.1:1/0", "LETTA_EMITTER_SPOOL_DIR": str(tmp_path)}
    script = SCRIPT.format(before=before)
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == said, done.stderr
