"""Keys in OpenTelemetry's variables, which its libraries quote in the log."""

import io
import logging
import os

import pytest
from opentelemetry.util.re import parse_env_headers

from gateway.adapters.logs import handler_for
from gateway.cli.serving import redaction_of
from gateway.settings import load_settings
from otel.redaction import Redaction
from otel.secrets import secrets_of

KEY = "hcaik_01abc/def+ghi=="


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"])
@pytest.mark.parametrize(
    "headers",
    [
        f"x-honeycomb-team: {KEY}",
        f"x-honeycomb-team={KEY}",
        f"a=b,x-honeycomb-team : {KEY} ,c",
        KEY,
        f"x-honeycomb-team={KEY.replace('/', '%2F').replace('=', '%3D')}",
        f"authorization=Basic%20{KEY}",
        f"Authorization: Basic {KEY}",
        f"authorization {KEY}",
    ],
)
@pytest.mark.parametrize("style", ["json", "text"])
def test_a_key_in_headers_is_in_no_line(name, headers, style):
    redaction, stream = Redaction(secrets_of({name: headers})), io.StringIO()
    logger = logging.getLogger("opentelemetry.util.re")
    handler = handler_for(style, redaction, stream)
    logger.addHandler(handler)
    try:
        parse_env_headers(headers, liberal=True)
        logger.warning("sent %s", KEY)
        logger.warning("refused: %s", {"x": headers})
    finally:
        logger.removeHandler(handler)
    assert "hcaik" not in stream.getvalue()
    assert "sent ***" in stream.getvalue()


@pytest.mark.parametrize(
    ("endpoint", "said", "clean"),
    [
        (
            "https://host/tokSECRET",
            "Transient error for https://host/tokSECRET/v1/traces",
            "Transient error for https://host/***/v1/traces",
        ),
        ("https://host/otlp/", "https://host/otlp/v1/traces, api", "https://host/otlp/v1/traces, api"),
        ("https://host/a%20secret", "at /a secret/v1, /a%20secret/v1", "at /***/v1, /***/v1"),
        ("https://me:passWORD@host/", "me, passWORD", "me, ***"),
        ("https://host/?k=tokSECRET", "tokSECRET k=tokSECRET", "*** ***"),
        ("http://[malformed-tokSECRET", "http://[malformed-tokSECRET is none", "*** is none"),
        ("gw:4317", "gw:4317 is away", "gw:4317 is away"),
    ],
)
def test_a_key_in_an_endpoint_is_in_no_line(endpoint, said, clean):
    assert Redaction(secrets_of({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})).text(said) == clean


def test_paths_of_certificates_and_short_values_are_left_in():
    environ = {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/etc/otel/certificate.pem",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-scope-orgid=prod",
        "OTEL_SERVICE_NAME": "letta-gateway",
    }
    said = "production of letta-gateway: /etc/otel/certificate.pem"
    assert Redaction(secrets_of(environ)).text(said) == said


def test_the_gateway_takes_them_from_its_environment(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x: {KEY}")
    assert redaction_of(load_settings(), os.environ).text(f"it is {KEY}") == "it is ***"
