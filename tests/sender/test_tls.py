# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
"""TLS: the chain and the name are verified, the name goes into SNI, and nothing old is spoken."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.adapters.http.connector import default_ssl_context
from gateway.domain.sending import SendErrorKind

pytestmark = pytest.mark.anyio


class Authority:
    """A certificate authority of a test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.certificate = self._build(self.name, self.key, None, days=1)

    def _build(self, subject, key, names, *, days):
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=3))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )
        if names is None:
            usage = dict.fromkeys(
                ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"), False
            )
            others = dict.fromkeys(("key_agreement", "encipher_only", "decipher_only"), False)
            builder = builder.add_extension(
                x509.KeyUsage(**usage, **others, key_cert_sign=True, crl_sign=True), critical=True
            )
        else:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def server(self, *names: str, days: int = 1) -> ssl.SSLContext:
        """A server context whose certificate is for these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives: list[x509.GeneralName] = []
        for name in names:
            try:
                alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
            except ValueError:
                alternatives.append(x509.DNSName(name))
        certificate = self._build(x509.Name([]), key, alternatives, days=days)
        path = self.folder / f"{certificate.serial_number}.pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(path)
        return context

    def client(self) -> ssl.SSLContext:
        context = default_ssl_context()
        context.load_verify_locations(
            cadata=self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        )
        return context


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


async def test_good_certificate(*, authority, receive, answering, post, names, make_transport):
    receiver = await receive(answering(), context=authority.server("hook.example"))
    transport = make_transport(
        resolver=names(hook_example=[["127.0.0.1"]]), ssl_context=authority.client(), https_only=True
    )
    for _ in range(3):
        answer = await post(receiver.url(host="hook.example"), transport=transport)
        assert (answer.status, answer.body) == (200, b"ok")
    assert receiver.connections == 1
    assert receiver.sni == ["hook.example"]
    await transport.aclose()
    await receiver.until(lambda: receiver.open == 0)


async def test_idle_tls_connection_expires(*, authority, receive, answering, post, names, make_transport):
    receiver = await receive(answering(), context=authority.server("hook.example"))
    resolver = names(hook_example=[["127.0.0.1"]])
    transport = make_transport(resolver=resolver, ssl_context=authority.client(), idle_s=0.1)
    await post(receiver.url(host="hook.example"), transport=transport, timeout_s=0.3)
    await receiver.until(lambda: receiver.open == 0)
    assert transport._pool._open == 0


async def test_international_name(authority, receive, answering, post, names):
    receiver = await receive(answering(), context=authority.server("xn--bcher-kva.example"))
    resolver = names(**{"xn--bcher-kva_example": [["127.0.0.1"]]})
    answer = await post(
        receiver.url(host="Bücher.example"), resolver=resolver, ssl_context=authority.client()
    )
    assert answer.status == 200
    assert receiver.sni == ["xn--bcher-kva.example"]


async def test_address_as_name(authority, receive, answering, post, refuse):
    receiver = await receive(answering(), context=authority.server("127.0.0.1"))
    client = authority.client()
    assert (await post(receiver.url(host="127.0.0.1"), ssl_context=client)).status == 200
    error = await refuse(receiver.url(host="127.0.0.2"), ssl_context=client)
    assert error.kind in {SendErrorKind.TLS, SendErrorKind.CONNECT}
    error = await refuse(receiver.url(host="localhost"), ssl_context=client)
    assert error.kind is SendErrorKind.TLS


@pytest.mark.parametrize("served", ["other.example", "example", "*.hook.example", "127.0.0.1"])
async def test_certificate_for_another_name(*, authority, receive, answering, refuse, names, served):
    receiver = await receive(answering(), context=authority.server(served))
    resolver = names(hook_example=[["127.0.0.1"]])
    error = await refuse(receiver.url(host="hook.example"), resolver=resolver, ssl_context=authority.client())
    assert error.kind is SendErrorKind.TLS
    assert "certificate" in error.detail
    assert "127.0.0.1" not in error.detail
    assert receiver.requests == []


async def test_certificate_of_an_unknown_authority(authority, receive, answering, refuse, names):
    receiver = await receive(answering(), context=authority.server("hook.example"))
    error = await refuse(receiver.url(host="hook.example"), resolver=names(hook_example=[["127.0.0.1"]]))
    assert error.kind is SendErrorKind.TLS
    assert receiver.requests == []


async def test_expired_certificate(authority, receive, answering, refuse, names):
    receiver = await receive(answering(), context=authority.server("hook.example", days=-1))
    resolver = names(hook_example=[["127.0.0.1"]])
    error = await refuse(receiver.url(host="hook.example"), resolver=resolver, ssl_context=authority.client())
    assert error.kind is SendErrorKind.TLS
    assert "expired" in error.detail


async def test_old_tls_is_not_spoken(authority, receive, answering, refuse, names):
    server = authority.server("hook.example")
    server.set_ciphers("DEFAULT:@SECLEVEL=0")
    server.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        server.maximum_version = ssl.TLSVersion.TLSv1_1
    receiver = await receive(answering(), context=server)
    resolver = names(hook_example=[["127.0.0.1"]])
    error = await refuse(receiver.url(host="hook.example"), resolver=resolver, ssl_context=authority.client())
    assert error.kind is SendErrorKind.TLS
    assert receiver.requests == []


async def test_plain_http_where_tls_is_expected(authority, receive, refuse, names):
    async def script(peer):
        await peer.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        await peer.gone()

    receiver = await receive(script)
    url = receiver.url(host="hook.example").replace("http:", "https:")
    error = await refuse(url, resolver=names(hook_example=[["127.0.0.1"]]), ssl_context=authority.client())
    assert error.kind is SendErrorKind.TLS


@pytest.mark.parametrize("how", ["hang", "close"])
async def test_handshake_that_never_ends(*, authority, receive, refuse, names, how, make_transport):
    async def script(peer):
        if how == "hang":
            await peer.gone()

    receiver = await receive(script)
    url = receiver.url(host="hook.example").replace("http:", "https:")
    transport = make_transport(
        resolver=names(hook_example=[["127.0.0.1"]]), ssl_context=authority.client(), connect_s=0.2
    )
    error = await refuse(url, transport=transport)
    assert (error.kind, error.timed_out) == (SendErrorKind.TLS, how == "hang")
    await receiver.until(lambda: receiver.open == 0)
    assert transport._pool._open == 0


async def test_context_verifies_and_writes_no_keys(monkeypatch, tmp_path):
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    context = default_ssl_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.keylog_filename is None


async def test_context_has_authorities_where_the_system_has_none(monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert default_ssl_context().cert_store_stats()["x509_ca"] > 50
