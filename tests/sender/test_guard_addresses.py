# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
"""What the guard makes of addresses: every reserved range with its edges, and the forms that hide others."""

import csv
import ipaddress
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.http.guard import EgressPolicy, embedded, judge, plain, vet
from gateway.domain.sending import SinkRefused, SinkRule

TABLE = Path(__file__).parent / "corpus" / "reserved_ranges.tsv"
CLOSED = EgressPolicy()
EVERYTHING = EgressPolicy(allow=(ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")))
EVERY_ADDRESS = str(ipaddress.IPv4Address(0))
METADATA = [
    *("169.254.169.254", "169.254.170.2", "168.63.129.16", "192.0.0.192", "100.100.100.200"),
    *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42", "fe80::a9fe:a9fe", "fe80::1%eth0"),
]
HIDDEN = [
    *(
        "::ffff:{}",
        "::{}",
        "64:ff9b::{}",
        "64:ff9b:1::{}",
        "::ffff:0:{}",
        "2600:1::5efe:{}",
        "2600:1::200:5efe:{}",
    ),
]


def edges():
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            network = ipaddress.ip_network(row["network"])
            make = type(network[0])
            yield pytest.param(network[0], row["inside"], id=f"first of {network}")
            yield pytest.param(network[-1], row["inside"], id=f"last of {network}")
            if row["below"] != "none":
                yield pytest.param(make(int(network[0]) - 1), row["below"], id=f"below {network}")
            if row["above"] != "none":
                yield pytest.param(make(int(network[-1]) + 1), row["above"], id=f"above {network}")


@pytest.mark.parametrize("privileged", [True, False], ids=["admin", "organization"])
@pytest.mark.parametrize(("address", "expected"), list(edges()))
def test_reserved_range_edge(address, expected, privileged):
    rule = judge(plain(address), 443, CLOSED, privileged=privileged)
    assert ("public" if rule is None else rule.value) == expected


@pytest.mark.parametrize(
    "text", [*METADATA, *(form.format(text) for form in HIDDEN for text in METADATA if ":" not in text)]
)
def test_metadata_is_never_opened_whatever_is_configured(text):
    address = ipaddress.ip_address(text)
    with pytest.raises(SinkRefused) as refused:
        vet((address,), 80, EVERYTHING, privileged=True)
    assert refused.value.rule is SinkRule.NEVER


@pytest.mark.parametrize(
    "text", [EVERY_ADDRESS, "::", "224.0.0.1", "ff02::1", "255.255.255.255", "169.254.0.1", "fe80::1"]
)
def test_what_is_no_single_host_is_never_opened(text):
    assert judge(ipaddress.ip_address(text), 80, EVERYTHING, privileged=True) is SinkRule.NEVER


@pytest.mark.parametrize("form", ["2002:{:x}:{:x}::", "2001:0:{:x}:{:x}::"])
def test_metadata_in_a_tunnel_is_never_opened(form):
    address = ipaddress.ip_address(form.format(0xA9FE, 0xA9FE))
    assert judge(address, 80, EVERYTHING, privileged=True) is SinkRule.NEVER


@given(st.ip_addresses(v=4), st.sampled_from([48, 56, 64, 96]))
def test_local_nat64_shows_its_address_at_every_prefix_length(inner, prefix_length):
    # RFC 6052, 2.2: bits 64 to 71 are skipped.
    octets = iter(inner.packed)
    packed = bytearray(ipaddress.ip_address("64:ff9b:1::").packed)
    for at in range(prefix_length // 8, 16):
        if at != 8 or prefix_length == 96:
            packed[at] = next(octets, 0)
    assert inner in embedded(ipaddress.ip_address(bytes(packed)))


@pytest.mark.parametrize("form", HIDDEN)
def test_private_address_in_another_form_is_not_public(form):
    assert judge(plain(ipaddress.ip_address(form.format("10.1.2.3"))), 80, CLOSED, privileged=True)


def test_opened_network_is_for_privileged_sinks_only():
    policy = EgressPolicy(allow=(ipaddress.ip_network("10.1.0.0/16"),))
    inside, outside = ipaddress.ip_address("10.1.2.3"), ipaddress.ip_address("10.2.0.1")
    assert vet((inside,), 80, policy, privileged=True) == (inside,)
    for address, privileged in ((inside, False), (outside, True), (outside, False)):
        with pytest.raises(SinkRefused) as refused:
            vet((address,), 80, policy, privileged=privileged)
        assert refused.value.rule is SinkRule.NOT_PUBLIC
        assert str(address) not in str(refused.value)


def test_one_bad_address_among_good_ones_refuses_all():
    good, bad = ipaddress.ip_address("8.8.8.8"), ipaddress.ip_address("10.0.0.1")
    for answer in ((good, bad), (bad, good), (good, good, bad)):
        with pytest.raises(SinkRefused):
            vet(answer, 443, CLOSED, privileged=False)
    assert vet((good, good), 443, CLOSED, privileged=False) == (good, good)


def test_mapped_address_is_connected_to_as_ipv4():
    assert vet((ipaddress.ip_address("::ffff:8.8.8.8"),), 443, CLOSED, privileged=False) == (
        ipaddress.ip_address("8.8.8.8"),
    )


@pytest.mark.parametrize("own", ["127.0.0.1", "::ffff:127.0.0.1", EVERY_ADDRESS, "::"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1"])
def test_the_gateways_own_socket_is_never_a_sink(own, address):
    policy = EgressPolicy(allow=EVERYTHING.allow, own=frozenset({(own, 8080)}))
    assert judge(plain(ipaddress.ip_address(address)), 8080, policy, privileged=True) is SinkRule.OWN
    assert judge(plain(ipaddress.ip_address(address)), 8081, policy, privileged=True) is None


def test_what_the_gateway_listens_on_is_not_told_to_a_tenant():
    policy = EgressPolicy(own=frozenset({(EVERY_ADDRESS, 8080), ("8.8.8.8", 443)}))
    for port in (8080, 8081):
        rule = judge(ipaddress.ip_address("127.0.0.1"), port, policy, privileged=False)
        assert rule is SinkRule.NOT_PUBLIC
    assert judge(ipaddress.ip_address("8.8.8.8"), 443, policy, privileged=False) is SinkRule.OWN


def test_own_wildcard_covers_every_address_of_this_machine_and_no_other():
    policy = EgressPolicy(allow=EVERYTHING.allow, own=frozenset({(EVERY_ADDRESS, 8080)}))
    assert judge(ipaddress.ip_address("127.99.1.2"), 8080, policy, privileged=True) is SinkRule.OWN
    assert judge(ipaddress.ip_address("8.8.8.8"), 8080, policy, privileged=True) is None
    host = ipaddress.ip_address(socket.gethostbyname(socket.gethostname()))
    assert judge(host, 8080, policy, privileged=True) is SinkRule.OWN


def test_own_address_that_is_none_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="gateway"):
        EgressPolicy(own=frozenset({("gateway", 80)}))


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_public(address):
    if not plain(address).is_global:
        verdict = judge(plain(address), 80, CLOSED, privileged=True)
        assert verdict is not None or address in ipaddress.ip_network("64:ff9b::/96")
