"""What the OpenTelemetry Collector takes in its configuration, of the components that ours has: pure.

Every key that a component documents, with what may stand there; anything else is a fault, as it is for the collector,
which refuses a key that it does not know. By the READMEs and `config.go` of the contrib distribution.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

Check: TypeAlias = Callable[[Any], str | None]
Shape: TypeAlias = Mapping[str, "Shape | Check"]

_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+")
_ENV: Final = re.compile(r"\$\{env:[A-Z_]+\}")
_ADDRESS: Final = re.compile(r"[^\s:/]+:\d{1,5}")
NAME: Final = re.compile(r"[a-z][a-z0-9_]*(?:/[A-Za-z0-9_.-]+)?")
_OTTL: Final = (
    re.compile(r"truncate_all\((?:resource|scope|span|spanevent)\.attributes, \d+\)"),
    re.compile(
        r"limit\((?:resource|scope|span|spanevent)\.attributes, \d+, \[(?:\"[^\"]+\"(?:, \"[^\"]+\")*)?\]\)"
    ),
)


def _anything(_value: Any) -> None:
    return None


def _a_flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def _a_count(value: Any) -> str | None:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return None if whole else "a whole number"


def _a_number(value: Any) -> str | None:
    return None if isinstance(value, int | float) and not isinstance(value, bool) else "a number"


def _a_text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "a text"


def _texts(value: Any) -> str | None:
    fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return None if fits else "a list of texts"


def _words(value: Any) -> str | None:
    fits = isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    return None if fits else "texts by name"


def _a_duration(value: Any) -> str | None:
    return None if isinstance(value, str) and _DURATION.fullmatch(value) else "a duration such as 2s"


def _an_address(value: Any) -> str | None:
    fits = isinstance(value, str) and (_ADDRESS.fullmatch(value) or _ENV.fullmatch(value))
    return None if fits else "HOST:PORT"


def _a_url(value: Any) -> str | None:
    fits = isinstance(value, str) and (value.startswith(("http://", "https://")) or _ENV.fullmatch(value))
    return None if fits else "a URL"


def _one_of(*allowed: str) -> Check:
    return lambda value: None if value in allowed else f"one of {', '.join(allowed)}"


def _a_statement(value: Any) -> bool:
    return isinstance(value, str) and any(form.fullmatch(value) for form in _OTTL)


def _statements(value: Any) -> str | None:
    """Only those that we use are known here: an OTTL of our own would be one more thing to be wrong."""
    contexts = {"resource", "scope", "span", "spanevent"}
    if not isinstance(value, list):
        return "a list of groups of statements"
    for group in value:
        if not isinstance(group, dict) or set(group) - {"context", "statements", "conditions", "error_mode"}:
            return "groups of context, conditions, statements and error_mode"
        if group.get("context") not in contexts:
            return f"a context of {', '.join(sorted(contexts))}"
        statements = group.get("statements")
        if not isinstance(statements, list) or not statements or not all(map(_a_statement, statements)):
            return "statements of OTTL that are known to be"
        if any(not statement.split("(")[1].startswith(f"{group['context']}.") for statement in statements):
            return "paths that begin with the group's context"
    return None


_TLS: Final[Shape] = {
    **dict.fromkeys(("ca_file", "ca_pem", "cert_file", "cert_pem", "key_file", "key_pem"), _a_text),
    **dict.fromkeys(("min_version", "max_version", "server_name_override", "client_ca_file"), _a_text),
    **dict.fromkeys(("insecure", "insecure_skip_verify", "include_system_ca_certs_pool"), _a_flag),
    "reload_interval": _a_duration,
    "cipher_suites": _texts,
    "reload_client_ca_file": _a_flag,
}
_HTTP_SERVER: Final[Shape] = {
    "endpoint": _an_address,
    "transport": _one_of("tcp", "tcp4", "tcp6", "unix"),
    "tls": _TLS,
    "cors": {
        "allowed_origins": _texts,
        "allowed_headers": _texts,
        "exposed_headers": _texts,
        "max_age": _a_count,
    },
    "auth": {"authenticator": _a_text, "request_params": _texts},
    "max_request_body_size": _a_count,
    "include_metadata": _a_flag,
    "response_headers": _words,
    "compression_algorithms": _texts,
    **dict.fromkeys(("read_timeout", "read_header_timeout", "write_timeout", "idle_timeout"), _a_duration),
    "keep_alives_enabled": _a_flag,
    "middlewares": _anything,
}
_GRPC_SERVER: Final[Shape] = {
    "endpoint": _an_address,
    "transport": _one_of("tcp", "tcp4", "tcp6", "unix"),
    "tls": _TLS,
    "max_recv_msg_size_mib": _a_count,
    "max_concurrent_streams": _a_count,
    "read_buffer_size": _a_count,
    "write_buffer_size": _a_count,
    "keepalive": {
        "server_parameters": dict.fromkeys(
            (
                *("max_connection_idle", "max_connection_age", "max_connection_age_grace"),
                *("time", "timeout"),
            ),
            _a_duration,
        ),
        "enforcement_policy": {"min_time": _a_duration, "permit_without_stream": _a_flag},
    },
    "auth": {"authenticator": _a_text},
    "include_metadata": _a_flag,
    "middlewares": _anything,
}
_HTTP_CLIENT: Final[Shape] = {
    "endpoint": _a_url,
    "proxy_url": _a_url,
    "tls": _TLS,
    "read_buffer_size": _a_count,
    "write_buffer_size": _a_count,
    "timeout": _a_duration,
    "headers": _words,
    "auth": {"authenticator": _a_text},
    "compression": _one_of("gzip", "zlib", "deflate", "snappy", "zstd", "lz4", "none"),
    "compression_params": {"level": _a_number},
    **dict.fromkeys(("max_idle_conns", "max_idle_conns_per_host", "max_conns_per_host"), _a_count),
    "idle_conn_timeout": _a_duration,
    "disable_keep_alives": _a_flag,
    "http2_read_idle_timeout": _a_duration,
    "http2_ping_timeout": _a_duration,
    "force_attempt_http2": _a_flag,
    "middlewares": _anything,
}
_RETRY: Final[Shape] = {
    "enabled": _a_flag,
    **dict.fromkeys(("initial_interval", "max_interval", "max_elapsed_time"), _a_duration),
    "randomization_factor": _a_number,
    "multiplier": _a_number,
}
_QUEUE: Final[Shape] = {
    **dict.fromkeys(("enabled", "wait_for_result", "block_on_overflow"), _a_flag),
    "num_consumers": _a_count,
    "queue_size": _a_count,
    "sizer": _one_of("requests", "items", "bytes"),
    "storage": _a_text,
    "batch": {
        "flush_timeout": _a_duration,
        "min_size": _a_count,
        "max_size": _a_count,
        "sizer": _one_of("items", "bytes"),
    },
}

COMPONENTS: Final[Mapping[str, Mapping[str, Shape]]] = {
    "extensions": {
        "health_check": {
            **_HTTP_SERVER,
            "path": _a_text,
            "response_body": {"healthy": _a_text, "unhealthy": _a_text},
        },
    },
    "receivers": {
        "otlp": {
            "protocols": {
                "grpc": _GRPC_SERVER,
                "http": {
                    **_HTTP_SERVER,
                    **{f"{signal}_url_path": _a_text for signal in ("traces", "metrics", "logs")},
                },
            },
        },
        # What stands in it is Prometheus' own, and promtool's to judge.
        "prometheus": {
            "config": _anything,
            "trim_metric_suffixes": _a_flag,
            "report_extra_scrape_metrics": _a_flag,
        },
    },
    "processors": {
        "memory_limiter": {
            "check_interval": _a_duration,
            **dict.fromkeys(("limit_mib", "spike_limit_mib"), _a_count),
            **dict.fromkeys(("limit_percentage", "spike_limit_percentage"), _a_count),
            **{f"min_gc_interval_when_{kind}_limited": _a_duration for kind in ("soft", "hard")},
        },
        "transform": {
            "error_mode": _one_of("ignore", "silent", "propagate"),
            "flatten_data": _a_flag,
            "trace_statements": _statements,
        },
        "batch": {
            "timeout": _a_duration,
            "send_batch_size": _a_count,
            "send_batch_max_size": _a_count,
            "metadata_keys": _texts,
            "metadata_cardinality_limit": _a_count,
        },
    },
    "exporters": {
        "otlphttp": {
            **_HTTP_CLIENT,
            **{f"{signal}_endpoint": _a_url for signal in ("traces", "metrics", "logs")},
            "encoding": _one_of("proto", "json"),
            "retry_on_failure": _RETRY,
            "sending_queue": _QUEUE,
        },
        "prometheus": {
            **_HTTP_SERVER,
            "sending_queue": _QUEUE,
            "namespace": _a_text,
            "const_labels": _words,
            "metric_expiration": _a_duration,
            "resource_to_telemetry_conversion": {"enabled": _a_flag},
            **dict.fromkeys(("send_timestamps", "enable_open_metrics", "add_metric_suffixes"), _a_flag),
            "translation_strategy": _a_text,
        },
    },
}
"""By kind and type, what is documented of each component."""

REQUIRED: Final[Mapping[tuple[str, str], Sequence[str]]] = {
    ("receivers", "otlp"): ("protocols",),
    ("receivers", "prometheus"): ("config",),
    ("processors", "memory_limiter"): ("check_interval", "limit_mib"),
    ("exporters", "otlphttp"): ("endpoint",),
    ("exporters", "prometheus"): ("endpoint",),
}
SIGNALS: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    ("receivers", "prometheus"): frozenset({"metrics"}),
    ("exporters", "prometheus"): frozenset({"metrics"}),
}
"""The signals that a component can be asked for; those not named here take all."""
