# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
"""What the guard makes of a URL alone: the corpus of hostile sinks, the good ones, and noise."""

import ipaddress
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.adapters.http.guard import EgressPolicy, Target, check_url
from gateway.domain.sending import SinkRefused, SinkRule

CORPUS = Path(__file__).parent / "corpus"
HOSTILE = json.loads((CORPUS / "hostile_urls.json").read_text(encoding="utf-8"))
ACCEPTED = json.loads((CORPUS / "accepted_urls.json").read_text(encoding="utf-8"))
CLOSED = EgressPolicy()
DEVELOPMENT = EgressPolicy(allow=(ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")))


@pytest.mark.parametrize("row", HOSTILE, ids=lambda row: ascii(row["url"])[:60])
@pytest.mark.parametrize("privileged", [True, False], ids=["admin", "organization"])
def test_hostile_url_is_refused_by_its_rule(row, privileged):
    with pytest.raises(SinkRefused) as refused:
        check_url(row["url"].replace("{port}", "8099"), CLOSED, privileged=privileged)
    assert refused.value.rule == row["rule"]
    assert str(refused.value).startswith("the sink is not allowed: ")


@pytest.mark.parametrize("row", ACCEPTED, ids=lambda row: ascii(row["url"])[:60])
def test_good_url_has_one_spelling(row):
    target = check_url(row["url"], CLOSED, privileged=False)
    seen = (target.host, target.port, target.path, target.authority)
    assert seen == (row["host"], row["port"], row["path"], row["authority"])


@pytest.mark.parametrize(
    "row", [row for row in ACCEPTED if row["url"][:5].lower() == "http:"], ids=lambda r: r["host"]
)
def test_row_23_production_refuses_http(row):
    with pytest.raises(SinkRefused) as refused:
        check_url(row["url"], EgressPolicy(https_only=True), privileged=True)
    assert refused.value.rule is SinkRule.INSECURE


@pytest.mark.parametrize(
    "row",
    [row for row in HOSTILE if row["rule"] in {"not_public", "never"}],
    ids=lambda r: ascii(r["url"])[:60],
)
def test_opened_loopback_is_for_administrators_and_nothing_more_than_loopback(row):
    url = row["url"].replace("{port}", "8099")
    plain_loopback = row["why"].startswith(("loopback,", "names for loopback"))
    if plain_loopback:
        target = check_url(url, DEVELOPMENT, privileged=True)
        assert target.addresses
        assert all(address.is_loopback for address in target.addresses)
    else:
        with pytest.raises(SinkRefused):
            check_url(url, DEVELOPMENT, privileged=True)
    with pytest.raises(SinkRefused):
        check_url(url, DEVELOPMENT, privileged=False)


def test_localhost_is_what_is_open_of_loopback():
    only_v4 = EgressPolicy(allow=(ipaddress.ip_network("127.0.0.0/8"),))
    target = check_url("http://app.localhost:9000/", only_v4, privileged=True)
    assert target.addresses == (ipaddress.ip_address("127.0.0.1"),)
    assert target.host == "app.localhost"


def test_localhost_is_not_the_gateway():
    policy = EgressPolicy(allow=DEVELOPMENT.allow, own=frozenset({("127.0.0.1", 8080)}))
    with pytest.raises(SinkRefused) as refused:
        check_url("http://localhost:8080/v1/events", policy, privileged=True)
    assert refused.value.rule is SinkRule.OWN
    assert check_url("http://localhost:8081/", policy, privileged=True).port == 8081


def test_lone_surrogates_are_refused():
    for url in ("http://example.com/\ud800", "http://\udfff.example/", "http://example.com?\udc00"):
        with pytest.raises(SinkRefused):
            check_url(url, CLOSED, privileged=True)


def test_target_hides_its_path():
    assert "s3cret" not in repr(check_url("https://example.com/s3cret?key=s3cret", CLOSED, privileged=False))


def test_request_head_is_one_line_and_one_host():
    target = check_url("https://example.com/a?b", CLOSED, privileged=False)
    assert target.head == b" /a?b HTTP/1.1\r\nhost: example.com\r\n"


def holds(target: Target) -> None:
    """What must be true of every URL that passes, whatever it was."""
    assert target.scheme in {"http", "https"}
    assert 1 <= target.port <= 65535
    assert target.head.count(b"\r\n") == 2
    assert target.head.count(b" ") == 3
    assert not set(target.host) & set("@/\\#?%[] ")
    assert target.host == target.host.lower()
    assert not any(address.is_loopback or address.is_link_local for address in target.addresses)
    try:
        literal = ipaddress.ip_address(target.host)
    except ValueError:
        assert not target.host.rpartition(".")[2].isdigit()
        assert target.host != "localhost"
    else:
        assert target.addresses == (literal,)
        assert literal.is_global or literal in ipaddress.ip_network("64:ff9b::/96")


def judged(url: str) -> None:
    try:
        target = check_url(url, CLOSED, privileged=True)
    except SinkRefused:
        return
    holds(target)


@given(st.text())
def test_any_text_is_judged_without_another_error(text):
    judged(text)


HOST_PARTS = st.sampled_from(
    [
        *(
            "127",
            "0x7f",
            "0177",
            "1",
            "0",
            "localhost",
            "example",
            "com",
            ".",
            "..",
            "。",
            ":",
            "[",
            "]",
            "::",
            "@",
            "%",
        ),
        *(
            "%25",
            "xn--",
            "ffff",
            "a9fe",
            "5efe",
            "2002",
            "/",
            "\\",
            "#",
            "?",
            "\uff11",
            "①",
            "é",
            "ß",
            "\u00ad",
            "\u200d",
            "_",
            "-",
        ),
        *("80", "65536", "\t", "\r\n", "\ud800", "\u0660", "\u05d0", "\U0001f600"),
    ]
)


@given(
    st.lists(HOST_PARTS, max_size=12).map("".join),
    st.sampled_from(["http://", "https://", "HTTP://", "http:"]),
)
@example("\uff11\uff12\uff17.1", "http://")
def test_any_host_is_judged_without_another_error(host, scheme):
    judged(scheme + host)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_path_is_judged_without_another_error(path, query):
    judged(f"https://example.com/{path}?{query}")


@given(st.ip_addresses(v=4), st.sampled_from(["{}", "{:#x}", "0{:o}", "dotted-hex", "dotted-octal", "short"]))
def test_every_spelling_of_an_address_is_that_address(address, form):
    a, b, c, d = address.packed
    text = {
        "dotted-hex": f"{a:#x}.{b:#X}.{c:#x}.{d:#x}",
        "dotted-octal": f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        "short": f"{a}.{int(address) & 0xFFFFFF}",
    }.get(form) or form.format(int(address))
    verdicts = []
    for url in (f"http://{address}/", f"http://{text}/", f"http://[::ffff:{address}]/"):
        try:
            verdicts.append(check_url(url, DEVELOPMENT, privileged=True).host)
        except SinkRefused as refused:
            verdicts.append(refused.rule)
    assert verdicts == [verdicts[0]] * 3
