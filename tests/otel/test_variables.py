"""A wrong value of one of OpenTelemetry's variables is a sentence with its name, and never a traceback."""

import os
import subprocess
import sys

import pytest

from otel import exporters
from otel.exporters import TelemetryUnusable
from otel.metrics_setup import metrics_from
from otel.setup import start_tracing, tracing_from
from otel.variables import check_variables, drop_empty

ASKED = {"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "console"}
WRONG = [
    ({"OTEL_BSP_MAX_QUEUE_SIZE": "banana"}, "OTEL_BSP_MAX_QUEUE_SIZE is 'banana'; it must be a whole number"),
    ({"OTEL_BSP_SCHEDULE_DELAY": "-5"}, "OTEL_BSP_SCHEDULE_DELAY is '-5'; it must be a whole number from 1 "),
    ({"OTEL_BSP_EXPORT_TIMEOUT": "0"}, "OTEL_BSP_EXPORT_TIMEOUT is '0'"),
    ({"OTEL_BSP_MAX_QUEUE_SIZE": "9" * 5_000}, "OTEL_BSP_MAX_QUEUE_SIZE is '99999"),
    (
        {"OTEL_BSP_MAX_QUEUE_SIZE": "100"},
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE is 512 and OTEL_BSP_MAX_QUEUE_SIZE is 100",
    ),
    ({"OTEL_TRACES_SAMPLER": "nope"}, "OTEL_TRACES_SAMPLER is 'nope'; it must be always_on, "),
    (
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "half"},
        "OTEL_TRACES_SAMPLER_ARG is 'half'; it must be a number from 0 to 1",
    ),
    (
        {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "nan"},
        "OTEL_TRACES_SAMPLER_ARG is 'nan'",
    ),
    ({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "-3"}, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT is '-3'"),
    ({"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many"}, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT is 'many'"),
    (
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "ten"},
        "OTEL_EXPORTER_OTLP_TIMEOUT is 'ten'; it must be a number of seconds",
    ),
    ({"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "zip"}, "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION is 'zip'"),
]


@pytest.mark.parametrize(("environ", "said"), WRONG)
def test_a_wrong_value_is_one_sentence_with_the_name(environ, said, caplog):
    with pytest.raises(TelemetryUnusable) as caught:
        tracing_from(ASKED | environ, version="1")
    assert str(caught.value).startswith(said)
    assert start_tracing(ASKED | environ, version="1") is None
    (line,) = caplog.records
    assert line.getMessage() == f"nothing is traced: {caught.value}"
    assert line.exc_info is None


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_BSP_MAX_QUEUE_SIZE": " 4096 ", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4096"},
        {"OTEL_TRACES_SAMPLER": "Always_Off", "OTEL_TRACES_SAMPLER_ARG": "of no use here"},
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1e-3"},
        {"OTEL_SPAN_LINK_COUNT_LIMIT": "0", "OTEL_SPAN_EVENT_COUNT_LIMIT": ""},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.5", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
        {"OTEL_BSP_SCHEDULE_DELAY": "", "OTEL_TRACES_SAMPLER": ""},
    ],
)
def test_what_is_right_passes(environ):
    check_variables(environ, "traces")
    check_variables(environ, "metrics")


def test_figures_are_not_turned_off_for_what_is_about_spans():
    check_variables({"OTEL_TRACES_SAMPLER": "nope", "OTEL_BSP_MAX_QUEUE_SIZE": "x"}, "metrics")
    with pytest.raises(TelemetryUnusable, match="OTEL_EXPORTER_OTLP_METRICS_TIMEOUT is '-1'"):
        metrics_from(ASKED | {"OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "-1"}, version="1")


def test_what_is_set_to_nothing_is_not_set():
    environ = {
        "OTEL_BSP_MAX_QUEUE_SIZE": "",
        "OTEL_TRACES_SAMPLER": " ",
        "OTEL_BSP_SCHEDULE_DELAY": "5",
        "A": "",
    }
    drop_empty(environ)
    assert environ == {"OTEL_BSP_SCHEDULE_DELAY": "5", "A": ""}


def test_an_sdk_that_cannot_be_loaded_is_a_sentence(monkeypatch):
    def broken(_name):
        raise ValueError("a variable that only the SDK knows")

    monkeypatch.setattr(exporters.importlib, "import_module", broken)
    with pytest.raises(TelemetryUnusable, match="cannot be loaded: ValueError: a variable that only"):
        tracing_from(ASKED, version="1")


def test_in_a_process_of_its_own_nothing_but_the_sentence_is_said():
    script = """
import logging, os
logging.basicConfig(format="%(message)s")
from otel.setup import start_tracing
print(start_tracing(os.environ, version="1"))
"""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    for wrong, said in (WRONG[0], WRONG[9]):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environ | ASKED | wrong,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "None\n"
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"nothing is traced: {said}")
