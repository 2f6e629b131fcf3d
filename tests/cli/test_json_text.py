"""What a command prints with `--json` is JSON, and what no float holds stays as it was written."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.json_text import decode, encode


@pytest.mark.parametrize(
    "text",
    [
        "1e400",
        "-1E+400",
        '{"x":1e400,"é":[-1e999,1,{}],"s":"Infinity","e":[],"n":null,"b":true,"f":0.5}',
        "[]",
        '"Infinity"',
    ],
)
def test_it_stays_as_it_was(text: str) -> None:
    assert encode(decode(text)) == encode(decode(text.encode())) == text


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(values)
def test_beside_such_a_number_all_else_is_printed_alike(value: object) -> None:
    text = encode([value, decode("1e400")])
    assert text == f"[{encode(value)},1e400]"
    assert json.loads(encode(value)) == value


def test_events_print_it(command: Any, dev: Any) -> None:
    event = (
        b'{"specversion":"1.0","id":"large","source":"/cli/large","type":"com.cli.large","data":{"x":-1e400}}'
    )
    headers = {"Authorization": f"Bearer {dev.said['token']}", "Content-Type": "application/cloudevents+json"}
    httpx.post(f"{dev.said['url']}/v1/events", content=event, headers=headers).raise_for_status()
    printed = command("events", "--source", "/cli/large", "--json", "--data-dir", str(dev.data_dir))
    assert printed.returncode == 0, printed.stderr
    assert '"data":{"x":-1e400}' in printed.stdout
