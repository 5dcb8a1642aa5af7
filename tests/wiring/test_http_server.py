"""The server under the API: slow and malformed clients, TLS, and where it will listen."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from oxbot.wiring.http_server import CannotListen, PatientProtocol, TlsFiles, address_of, http_server, listen
from tests.wiring.served import connected, raw, served

pytestmark = pytest.mark.anyio

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Hasty(PatientProtocol):
    """Gives up at once what it would otherwise give up in seconds."""

    head_seconds = 0.2
    stalled_seconds = 0.2
    connections_max = 3


async def hello(scope: dict[str, object], receive: object, send: object) -> None:
    """Answers every request."""
    del receive
    if scope["type"] == "lifespan":
        raise RuntimeError("there is none")
    assert callable(send)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def with_too_much(scope: dict[str, object], receive: object, send: object) -> None:
    """Answers with far more than waits on its way to a client that takes nothing."""
    del receive
    if scope["type"] == "lifespan":
        raise RuntimeError("there is none")
    assert callable(send)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(1000):
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def test_a_head_that_does_not_arrive_is_408_and_the_end_of_the_connection() -> None:
    async with served(hello, protocol=Hasty) as port:
        for begun in (b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "):
            head, _, body = (await raw(port, begun)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 ")
            assert b"connection: close" in head.lower()
            assert b"urn:oxbot:problem:request-timeout" in body


async def test_a_head_that_trickles_in_is_408_however_steadily() -> None:
    async with served(hello, protocol=Hasty) as port, connected(port) as (reader, writer):

        async def trickle() -> None:
            writer.write(b"GET / HTTP/1.1\r\n")
            while not writer.is_closing():
                writer.write(b"x")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        answered = await reader.read()
        trickling.cancel()

    assert answered.startswith(b"HTTP/1.1 408 ")


async def test_requests_one_after_the_other_have_each_their_own_time() -> None:
    async with served(hello, protocol=Hasty) as port, connected(port) as (reader, writer):
        for _ in range(3):
            writer.write(REQUEST)
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
            await asyncio.sleep(0.15)
        writer.write(b"GET /second")
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_a_client_that_takes_nothing_of_its_answer_is_cut_off() -> None:
    async with served(with_too_much, protocol=Hasty) as port, connected(port) as (reader, writer):
        reader._transport.pause_reading()  # type: ignore[attr-defined]  # the client that takes nothing
        writer.write(REQUEST)
        await asyncio.sleep(0.6)
        reader._transport.resume_reading()  # type: ignore[attr-defined]
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1000 * 65536)


NO_HTTP = (
    b"nonsense\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 400_000,
    b"GET /" + b"a" * 400_000,
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
)


async def test_what_is_no_http_is_a_problem_and_the_end_of_the_connection() -> None:
    async with served(hello, protocol=Hasty) as port:
        answers = [await raw(port, sent) for sent in NO_HTTP]

    for answered in answers:
        assert answered.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in answered


async def test_connections_beyond_the_most_are_not_taken() -> None:
    async with served(hello, protocol=Hasty) as port:
        async with connected(port), connected(port), connected(port), connected(port) as (reader, writer):
            writer.write(REQUEST)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        # The three are gone as soon as the server has heard of it.
        while not (await raw(port, REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))).endswith(b"ok"):
            await asyncio.sleep(0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """A certificate of localhost that signs itself."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = TlsFiles(folder / "cert.pem", folder / "key.pem")
    files.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    files.key.chmod(0o600)
    return files


async def test_over_tls_it_speaks_1_2_and_1_3(certificate: TlsFiles) -> None:
    async with served(hello, tls=certificate) as port:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.create_default_context(cafile=str(certificate.certificate))
            context.minimum_version = context.maximum_version = version
            async with connected(port, context) as (reader, writer):
                writer.write(REQUEST)
                assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_over_tls_it_speaks_nothing_older_and_nothing_plain(certificate: TlsFiles) -> None:
    old = ssl.create_default_context(cafile=str(certificate.certificate))
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with served(hello, tls=certificate) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with connected(port, old):
                pass
        async with connected(port) as (reader, writer):
            writer.write(REQUEST)
            assert b"200" not in await reader.read()


def test_a_certificate_that_cannot_be_used_is_said_before_anything_is_served(
    certificate: TlsFiles, tmp_path: Path
) -> None:
    with pytest.raises(CannotListen, match="No such file"):
        http_server(hello, tls=TlsFiles(tmp_path / "none", certificate.key))
    with pytest.raises(CannotListen, match="cannot use the certificate"):
        http_server(hello, tls=TlsFiles(certificate.key, certificate.key))
    open_key = tmp_path / "key.pem"
    open_key.write_bytes(certificate.key.read_bytes())
    open_key.chmod(0o644)
    with pytest.raises(CannotListen, match="everybody on this machine may read"):
        http_server(hello, tls=TlsFiles(certificate.certificate, open_key))


def test_beyond_this_machine_it_listens_only_when_told_that_it_may() -> None:
    with pytest.raises(CannotListen, match="OXBOT_API_TLS_CERT"):
        listen("0.0.0.0", 0, plain=False)  # noqa: S104 - what is refused
    with listen("0.0.0.0", 0, plain=True) as listener:  # noqa: S104 - what is asked for
        assert address_of(listener, tls=True).startswith("https://0.0.0.0:")
    with listen("localhost", 0, plain=False) as listener:
        assert address_of(listener, tls=False).startswith("http://127.0.0.1:")


def test_no_answer_waits_for_the_acknowledgement_of_its_beginning() -> None:
    with listen("127.0.0.1", 0, plain=False) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_address_that_is_taken_is_said_in_a_line() -> None:
    with listen("127.0.0.1", 0, plain=False) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(CannotListen, match=f"cannot listen on 127.0.0.1:{port}"):
            listen("127.0.0.1", port, plain=False)
