"""The egress guard: which sinks the gateway may connect to, judged by URL and again by each resolved address.

A URL is read here by rules of its own, not by a general URL library: those repair what they read, and two
programs that repair differently disagree about the host. What is odd is refused; what is accepted has one
spelling from then on. The guard never connects; whoever connects uses only addresses that `vet` has returned.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Protocol, TypeAlias
from urllib.parse import quote

import idna

from gateway.domain.sending import SinkRefused, SinkRule

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

URL_CHARS_MAX = 4096
HOST_CHARS_MAX = 253
PORT_MAX = 65535

_BYTE_MAX = 255
_IPV4_PARTS_MAX = 4
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOOPBACK_ADDRESSES: tuple[Address, ...] = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
#: Controls, spaces and backslashes, in ASCII and in the Latin-1 and general-punctuation forms parsers strip.
_ODD_CHARS = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\ufeff]")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
#: RFC 3986 reserved and unreserved characters, and the percent sign: sent as they are.
_URL_CHARS = "%/:?[]@!$&'()*+,;=-._~"


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


#: Names of metadata services that hosts outside their cloud cannot resolve: refused at creation all the same.
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"})
#: Link-local, and the metadata services that live elsewhere (Azure, Oracle, Alibaba; AWS, Google, Scaleway on
#: IPv6).
_METADATA = _networks(
    *("169.254.0.0/16", "168.63.129.16/32", "192.0.0.192/32", "100.100.100.200/32"),
    *("fe80::/10", "fd00:ec2::/32", "fd20:ce::254/128", "fd00:42::42/128"),
)
_NEVER = _METADATA + _networks("0.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32", "::/128", "ff00::/8")
#: IANA special-purpose registries (RFC 6890) and the deprecated 6to4 relay: all of them, reachable or not.
_SPECIAL_V4 = _networks(
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *(
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
    ),
    *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
)
#: Global unicast, so that whatever IANA has not assigned yet is refused; then the special ones inside it.
_GLOBAL_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = _networks("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
_NAT64 = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = IPv6Network("::/96")
_SIIT = IPv6Network("::ffff:0:0:0/96")
_ISATAP_IDS = frozenset({0x00005EFE, 0x02005EFE})


@dataclass(frozen=True)
class EgressPolicy:
    """What an operator has opened and what is the gateway's own.

    Attributes:
        allow: Networks that are not public and that a privileged sink may be in.
        https_only: Refuse ``http`` (CONFORMANCE 23, in production).
        own: Addresses (as text) and ports that the gateway listens on; ``0.0.0.0`` and ``::`` mean every
            address of this machine. Never a sink, for nobody (S11b). ``ValueError`` if it is no address.
    """

    allow: tuple[Network, ...] = ()
    https_only: bool = False
    own: frozenset[tuple[str, int]] = frozenset()
    _own: frozenset[tuple[Address, int]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        own = frozenset((plain(ipaddress.ip_address(host)), port) for host, port in self.own)
        object.__setattr__(self, "_own", own)

    def owns(self, address: Address, port: int) -> bool:
        """Whether the gateway itself listens there."""
        if (address, port) in self._own:
            return True
        everywhere = any(host.is_unspecified and own_port == port for host, own_port in self._own)
        return everywhere and (address.is_loopback or _is_this_machine(address))


@dataclass(frozen=True)
class Target:
    """A sink whose URL has passed: one spelling for the request line, for ``Host`` and for TLS.

    Attributes:
        scheme: ``http`` or ``https``.
        host: A DNS name in lower-case A-labels without a trailing dot, or an address without brackets.
        port: 1 to 65535.
        path: The request target in origin form (RFC 9112, section 3.2.1).
        addresses: Of a literal or a ``localhost`` name, which are known without asking DNS; else empty.
    """

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    addresses: tuple[Address, ...] = ()

    @cached_property
    def origin(self) -> tuple[str, str, int]:
        """What connections are shared by."""
        return self.scheme, self.host, self.port

    @cached_property
    def authority(self) -> str:
        """The ``Host`` field's value."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @cached_property
    def head(self) -> bytes:
        """The request line behind the method, and the ``Host`` field."""
        return f" {self.path} HTTP/1.1\r\nhost: {self.authority}\r\n".encode("ascii")


class Resolver(Protocol):
    """Looks names up. What it answers is always vetted, so it may remember an answer for a while."""

    async def resolve(self, host: str, *, timeout_s: float) -> tuple[Address, ...]:
        """All addresses of a name, at least one; raises ``SendError`` of kind ``DNS``."""
        ...


def check_url(url: str, policy: EgressPolicy, *, privileged: bool) -> Target:
    """Judge a sink by its URL alone, without any look-up: at creation, and again before each use.

    Raises:
        SinkRefused: The URL is malformed or odd, or its host is an address that is not allowed.
    """
    if len(url) > URL_CHARS_MAX or _ODD_CHARS.search(url):
        raise SinkRefused(SinkRule.MALFORMED)
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _DEFAULT_PORTS:
        raise SinkRefused(SinkRule.SCHEME)
    if policy.https_only and scheme != "https":
        raise SinkRefused(SinkRule.INSECURE)
    if "#" in rest:
        raise SinkRefused(SinkRule.FRAGMENT)
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    authority, path = rest[:end], rest[end:]
    if "@" in authority:
        raise SinkRefused(SinkRule.USERINFO)
    host, port = _split_port(authority, _DEFAULT_PORTS[scheme])
    addresses = _known_addresses(host, port, policy, privileged=privileged)
    return Target(scheme, str(host), port, _request_target(path), addresses)


def vet(
    addresses: Iterable[Address],
    port: int,
    policy: EgressPolicy,
    *,
    privileged: bool,
    looked_up: bool = False,
) -> tuple[Address, ...]:
    """The addresses to connect to, IPv4-mapped ones as IPv4; all of them good, or none.

    One bad address among good ones refuses the sink: which of them a client picks is the resolver's choice.

    Args:
        addresses: All that the host has.
        port: Of the sink.
        policy: What is opened, and what is the gateway's own.
        privileged: Whether the subscription may use what is opened.
        looked_up: They came from DNS: the refusal tells the rule to nobody but the caller.

    Raises:
        SinkRefused: Any of them is not allowed.
    """
    plains = tuple(map(plain, addresses))
    for address in plains:
        if (rule := judge(address, port, policy, privileged=privileged)) is not None:
            raise SinkRefused(rule, looked_up=looked_up)
    return plains


def judge(address: Address, port: int, policy: EgressPolicy, *, privileged: bool) -> SinkRule | None:
    """The rule that this (plain) address and port break, or None."""
    inner = embedded(address)
    if _in(address, _NEVER) or any(_in(each, _METADATA) for each in inner):
        return SinkRule.NEVER
    public = _is_public(address)
    if policy.owns(address, port):
        # To a tenant it is private like its neighbours: what listens on this machine is not told.
        return SinkRule.OWN if public or privileged else SinkRule.NOT_PUBLIC
    if public or (privileged and _in(address, policy.allow)):
        return None
    return SinkRule.NOT_PUBLIC


def plain(address: Address) -> Address:
    """The address that a connection really goes to: IPv4-mapped as IPv4 (RFC 4291, 2.5.5.2), no zone."""
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def embedded(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that a translator or tunnel may forward this IPv6 address to."""
    if isinstance(address, IPv4Address):
        return ()
    bits = int(address)
    low = IPv4Address(bits & 0xFFFFFFFF)
    if address in _NAT64 or address in _SIIT or (address in _COMPATIBLE and bits > 1):
        return (low,)
    if address in _NAT64_LOCAL:
        # RFC 6052, 2.2: where the address stands depends on a prefix length that only the operator knows;
        # bits 64 to 71 are skipped.
        return (
            IPv4Address((bits >> 64 & 0xFFFF) << 16 | bits >> 40 & 0xFFFF),
            IPv4Address((bits >> 64 & 0xFF) << 24 | bits >> 32 & 0xFFFFFF),
            IPv4Address(bits >> 24 & 0xFFFFFFFF),
            low,
        )
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    return (low,) if bits >> 32 & 0xFFFFFFFF in _ISATAP_IDS else ()


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not _in(address, _SPECIAL_V4)
    inner = embedded(address)
    if address in _NAT64:
        return all(map(_is_public, inner))
    return address in _GLOBAL_V6 and not _in(address, _SPECIAL_V6) and all(map(_is_public, inner))


def _in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _is_this_machine(address: Address) -> bool:
    # The kernel picks the destination itself as the source exactly where it is local; nothing is sent.
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ipaddress.ip_address(probe.getsockname()[0]) == address
    except OSError:
        return False


def _split_port(authority: str, default: int) -> tuple[str | Address, int]:
    if authority.startswith("["):
        text, bracket, tail = authority[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise SinkRefused(SinkRule.HOST)
        return _ipv6(text), _port(tail[1:], default)
    text, _, tail = authority.partition(":")
    if ":" in tail:
        raise SinkRefused(SinkRule.HOST)
    return _host(text), _port(tail, default)


def _port(text: str, default: int) -> int:
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= PORT_MAX:
        raise SinkRefused(SinkRule.PORT)
    return int(text)


def _ipv6(text: str) -> Address:
    if not re.fullmatch(r"[0-9A-Fa-f:.]+", text):
        raise SinkRefused(SinkRule.HOST)
    try:
        return plain(IPv6Address(text))
    except ValueError:
        raise SinkRefused(SinkRule.HOST) from None


def _host(text: str) -> str | Address:
    if not text or len(text) > HOST_CHARS_MAX + 1:
        raise SinkRefused(SinkRule.HOST)
    try:
        # The mapping first: it makes full-width and circled digits, dots of other scripts and soft hyphens
        # what a resolver would take them for.
        name = (
            text.lower() if text.isascii() else idna.uts46_remap(text, std3_rules=False, transitional=False)
        )
        name = name.removesuffix(".")
        if _NUMBER_LABEL.fullmatch(name.rpartition(".")[2]):
            return _ipv4(name)
        labels = (name if name.isascii() else idna.encode(name).decode("ascii")).split(".")
        for label in labels:
            if label.startswith("xn--"):
                idna.ulabel(label)
    except UnicodeError:
        raise SinkRefused(SinkRule.HOST) from None
    name = ".".join(labels)
    if len(name) > HOST_CHARS_MAX or not all(map(_LABEL.fullmatch, labels)):
        raise SinkRefused(SinkRule.HOST)
    return name


def _ipv4(name: str) -> IPv4Address:
    """An address as ``inet_aton`` and the WHATWG URL standard read it: short, decimal, octal, hexadecimal."""
    parts = name.split(".")
    if len(parts) > _IPV4_PARTS_MAX:
        raise SinkRefused(SinkRule.HOST)
    numbers = [_number(part) for part in parts]
    if any(number > _BYTE_MAX for number in numbers[:-1]) or numbers[-1] >= 256 ** (5 - len(parts)):
        raise SinkRefused(SinkRule.HOST)
    heads = sum(number << 8 * (3 - at) for at, number in enumerate(numbers[:-1]))
    return IPv4Address(heads + numbers[-1])


def _number(part: str) -> int:
    if re.fullmatch(r"0x[0-9a-f]*", part):
        return int(part[2:] or "0", 16)
    if re.fullmatch(r"0[0-7]*", part):
        return int(part, 8)
    if re.fullmatch(r"[1-9][0-9]*", part):
        return int(part)
    raise SinkRefused(SinkRule.HOST)


def _known_addresses(
    host: str | Address, port: int, policy: EgressPolicy, *, privileged: bool
) -> tuple[Address, ...]:
    """The addresses of a host that needs no look-up, vetted; empty for a name of the DNS."""
    if not isinstance(host, str):
        return vet((host,), port, policy, privileged=privileged)
    if host in _METADATA_NAMES:
        raise SinkRefused(SinkRule.NEVER)
    if host != "localhost" and not host.endswith(".localhost"):
        return ()
    # RFC 6761, 6.3: these are loopback whatever a resolver says. An operator may have opened one family only.
    verdicts = [judge(each, port, policy, privileged=privileged) for each in _LOOPBACK_ADDRESSES]
    good = tuple(each for each, rule in zip(_LOOPBACK_ADDRESSES, verdicts, strict=True) if rule is None)
    if SinkRule.OWN in verdicts:
        raise SinkRefused(SinkRule.OWN)
    if not good:
        raise SinkRefused(SinkRule.NOT_PUBLIC)
    return good


def _request_target(path: str) -> str:
    try:
        encoded = quote(path, safe=_URL_CHARS)
    except UnicodeEncodeError:
        raise SinkRefused(SinkRule.MALFORMED) from None
    return encoded if encoded.startswith("/") else f"/{encoded}"
