import asyncio
import datetime
import gzip
import ipaddress
import socket
import ssl
import time
from ipaddress import IPv4Address, IPv6Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("aiohttp")
pytest.importorskip("starlette")
from glyphsight.serve import fetch as fetching
from glyphsight.serve.errors import ApiError
from glyphsight.serve.fetch import fetch, is_public, look_up

PUBLIC, OTHER_PUBLIC = "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


class Wire:
    """Records connections by the address they are for; sends none, or all to one loopback port."""

    def __init__(self, port=None):
        self.port, self.connections = port, []

    def __call__(self, info):
        self.connections.append(info[4][:2])
        if self.port is None:
            raise OSError(f"recorded {info[4]}")
        to_loopback = Rerouted(socket.AF_INET, socket.SOCK_STREAM)
        to_loopback.port = self.port
        return to_loopback


class Rerouted(socket.socket):
    def connect(self, address):
        super().connect(("127.0.0.1", self.port))


class Names:
    """Answers of a resolver: those given, one after the other, else a public address."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    async def __call__(self, host, port):
        self.asked.append(host)
        answers = self.answers.get(host.split(".")[0], [[PUBLIC]])
        return answers.pop(0) if len(answers) > 1 else answers[0]


def refused(url, wire, names=None, **limits):
    limits = {"max_bytes": 100_000, "timeout": 5.0} | limits
    with pytest.raises(ApiError) as caught:
        asyncio.run(fetch(url, resolve=names or Names(), open_socket=wire, **limits))
    assert ": " in caught.value.message  # the problem, then the fix
    return caught.value


def answer(body=PICTURE, kind="image/png", status="200 OK", *headers):
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", f"Content-Type: {kind}")
    return "\r\n".join((*lines, *headers, "", "")).encode() + body


def redirect(target, status=302):
    return answer(b"", "text/html", f"{status} Elsewhere", f"Location: {target}")


async def hang(reader, writer):
    await reader.read()


async def drip(reader, writer):
    writer.write(answer()[:200])
    while not reader.at_eof():
        writer.write(b".")
        await asyncio.sleep(0.02)


async def announce(reader, writer):
    writer.write(answer()[:80].replace(b"Length: 10248", b"Length: 99999999"))
    await reader.read()


async def endless(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n")
    while not writer.is_closing():
        writer.write(bytes(10_000))
        await writer.drain()


def served(pages, url="http://pictures.example/", names=None, tls=None, **limits):
    """Fetch from a loopback server that answers by path; return what came, wire and requests."""
    requests = []

    async def handle(reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            requests.append(head.decode())
            page = pages[head.split()[1].decode()]
            if isinstance(page, bytes):
                writer.write(page)
                await writer.drain()
            else:
                await page(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def run():
        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
        wire = Wire(server.sockets[0].getsockname()[1])
        options = {"max_bytes": 100_000, "timeout": 5.0} | limits
        try:
            got = await fetch(url, resolve=names or Names(), open_socket=wire, **options)
        except ApiError as error:
            got = error
        server.close()
        return got, wire.connections, requests

    return asyncio.run(run())


def named(*addresses):
    return "http://evil.example/", Names(evil=[list(addresses)])


ATTEMPTS = {
    # Addresses as they are.
    "loopback": "http://127.0.0.1/",
    "loopback-net": "http://127.8.9.10/",
    "private-10": "http://10.0.0.1/",
    "private-172": "https://172.31.255.254/",
    "private-192": "http://192.168.1.1/",
    "unspecified": "http://0.0.0.0/",
    "this-network": "http://0.1.2.3/",
    "link-local": "http://169.254.0.1/",
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "metadata-ecs": "http://169.254.170.2/v2/credentials",
    "metadata-alibaba": "http://100.100.100.200/",
    "metadata-oracle": "http://192.0.0.192/",
    "metadata-azure": "http://168.63.129.16/",
    "carrier-nat": "http://100.64.0.1/",
    "multicast": "http://224.0.0.1/",
    "multicast-global": "http://233.252.0.1/",
    "reserved": "http://240.0.0.1/",
    "broadcast": "http://255.255.255.255/",
    "documentation": "http://192.0.2.1/",
    "benchmark": "http://198.18.0.1/",
    "relay-6to4": "http://192.88.99.1/",
    # Addresses in other words, which getaddrinfo or a browser would take.
    "decimal": "http://2130706433/",
    "hexadecimal": "http://0x7f000001/",
    "hexadecimal-capital": "http://0X7F000001/",
    "octal": "http://017700000001/",
    "octal-dotted": "http://0177.0.0.1/",
    "hexadecimal-dotted": "http://0x7f.0x0.0x0.0x1/",
    "hexadecimal-last": "http://127.0.0.0x1/",
    "hexadecimal-empty": "http://127.0.0.0x/",
    "short-2": "http://127.1/",
    "short-3": "http://10.0.1/",
    "zero": "http://0/",
    "padded": "http://127.000.000.001/",
    "overflow": "http://127.0.0.257/",
    "trailing-dot": "http://127.0.0.1./",
    "percent-encoded": "http://127.0.0.%31/",
    "percent-encoded-all": "http://%31%32%37%2e%30%2e%30%2e%31/",
    "full-width": "http://127。0。0。1/",
    "circled": "http://①②⑦.⓪.⓪.①/",
    # IPv6, and IPv4 inside it.
    "loopback-6": "http://[::1]/",
    "unspecified-6": "http://[::]/",
    "mapped": "http://[::ffff:127.0.0.1]/",
    "mapped-hexadecimal": "http://[::ffff:7f00:1]/",
    "mapped-long": "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
    "compatible": "http://[::127.0.0.1]/",
    "translated": "http://[::ffff:0:127.0.0.1]/",
    "nat64-loopback": "http://[64:ff9b::127.0.0.1]/",
    "nat64-metadata": "http://[64:ff9b::a9fe:a9fe]/",
    "nat64-azure": "http://[64:ff9b::168.63.129.16]/",
    "nat64-local": "http://[64:ff9b:1::8.8.8.8]/",
    "6to4": "http://[2002:7f00:1::]/",
    "teredo": "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
    "isatap": "http://[2606:4700::5efe:10.0.0.1]/",
    "unique-local": "http://[fc00::1]/",
    "metadata-6": "http://[fd00:ec2::254]/latest/meta-data/",
    "link-local-6": "http://[fe80::1]/",
    "site-local": "http://[fec0::1]/",
    "zone": "http://[fe80::1%25lo]/",
    "zone-public": "http://[2606:4700::1%25lo]/",
    "multicast-6": "http://[ff02::1]/",
    "documentation-6": "http://[2001:db8::1]/",
    "protocol-6": "http://[2001:20::1]/",
    "segment-routing": "http://[5f00::1]/",
    "discard": "http://[100::1]/",
    # Names.
    "localhost": "http://localhost/",
    "localhost-dot": "http://localhost./",
    "localhost-below": "http://any.localhost/",
    "localhost-capital": "http://LOCALHOST/",
    "localhost-circled": "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "localdomain": "http://localhost.localdomain/",
    "one-label": "http://metadata/",
    "metadata-google": "http://metadata.google.internal/",
    "multicast-dns": "http://printer.local/",
    "home": "http://router.home.arpa/",
    "dot": "http://pictures.example./",
    "empty-label": "http://pictures..example/",
    "wildcard": "http://*.example/",
    # Parsers that read differently.
    "user": "http://pictures.example@127.0.0.1/",
    "user-public": "http://user:word@pictures.example/",
    "backslash": "http://127.0.0.1\\@pictures.example/",
    "backslash-path": "http://pictures.example\\.evil.example/",
    "space": "http://1.1.1.1 &@127.0.0.1/",
    "tab": "http://127.0.0\t.1/",
    "newline": "http://pictures.example/\r\nHost: localhost",
    "null": "http://pictures.example\0.evil.example/",
    "invisible": "http://local\u200bhost/",
    "fragment": "http://127.0.0.1#@pictures.example/",
    "brackets": "http://[::1]]/",
    "two-ports": "http://pictures.example:80:22/",
    "no-host": "http:///etc/passwd",
    "no-slashes": "http:127.0.0.1",
    "relative": "//127.0.0.1/",
    "empty": "",
    "long": "http://pictures.example/" + "a" * 9000,
    # Other services.
    "file": "file:///etc/passwd",
    "ftp": "ftp://pictures.example/",
    "gopher": "gopher://pictures.example:70/_stats",
    "dict": "dict://pictures.example/",
    "websocket": "ws://pictures.example/",
    "unix": "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
    "port-ssh": "http://pictures.example:22/",
    "port-redis": "http://pictures.example:6379/",
    "port-zero": "http://pictures.example:0/",
    "port-large": "http://pictures.example:65616/",
    # What a public name may lead to.
    "dns-loopback": named("127.0.0.1"),
    "dns-private": named("192.168.0.10"),
    "dns-metadata": named("169.254.169.254"),
    "dns-loopback-6": named("::1"),
    "dns-mapped": named("::ffff:10.0.0.1"),
    "dns-zone": named("fe80::1%lo"),
    "dns-second": named(PUBLIC, "10.0.0.1"),
    "dns-first": named("10.0.0.1", PUBLIC),
    "dns-mixed-6": named(PUBLIC, "fd00::1"),
    "dns-no-address": named("evil.example"),
    "dns-none": named(),
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_an_attempt_at_the_inside_is_refused_before_any_connection(attempt):
    url, names = (attempt, Names()) if isinstance(attempt, str) else attempt
    wire = Wire()
    error = refused(url, wire, names)
    assert error.status == 400
    assert wire.connections == []
    for secret in ("127.0.0.1", "10.0.0.1", "192.168.0.10", "169.254"):
        assert secret not in error.message


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://pictures.example/five.png", PUBLIC),
        ("https://Pictures.Example:443/five.png?size=2#top", PUBLIC),
        ("http://bücher.example/ü.png", PUBLIC),
        (f"http://{PUBLIC}/", PUBLIC),
        (f"http://[{OTHER_PUBLIC}]/", OTHER_PUBLIC),
        ("http://[64:ff9b::8.8.8.8]/", "64:ff9b::808:808"),  # a network with IPv6 alone
    ],
)
def test_a_public_url_is_connected_to(url, address):
    """The same wire that records nothing above."""
    wire = Wire()
    error = refused(url, wire)
    assert [host for host, _ in wire.connections] == [address]
    assert error.status == 502
    assert address not in error.message


def test_a_private_name_reads_as_one_that_does_not_exist():
    private, unknown = (
        refused(*attempt)
        for attempt in (
            ("http://a.example/", Wire(), Names(a=[["10.1.2.3"]])),
            ("http://a.example/", Wire(), Names(a=[[]])),
        )
    )
    assert (private.message, private.status) == (unknown.message, unknown.status)


def test_this_machine_is_refused_by_any_of_its_addresses(monkeypatch):
    monkeypatch.setattr(fetching, "is_public", lambda address: True)
    wire = Wire()
    assert refused("http://127.0.0.1/", wire).status == 400
    assert wire.connections == []


def test_a_picture_comes_as_it_is():
    got, wire, requests = served({"/five.png": answer()}, "http://pictures.example/five.png#x")
    assert got == PICTURE
    assert wire == [(PUBLIC, 80)]
    assert "Host: pictures.example\r\n" in requests[0]


@pytest.mark.parametrize("kind", ["audio/wav", "application/octet-stream", "IMAGE/PNG; a=b"])
def test_sounds_and_plain_bytes_come_too(kind):
    assert served({"/": answer(kind=kind)})[0] == PICTURE


def test_neither_proxy_nor_password_of_the_environment_is_used(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine pictures.example login me password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    got, wire, requests = served({"/": answer()})
    assert (got, wire) == (PICTURE, [(PUBLIC, 80)])
    assert "authorization" not in requests[0].lower()


def test_a_name_that_leads_elsewhere_the_next_time_leads_nowhere():
    names = Names(pictures=[[PUBLIC], ["127.0.0.1"]])
    got, wire, _ = served({"/": answer()}, names=names)
    assert (got, wire) == (PICTURE, [(PUBLIC, 80)])
    assert names.asked == ["pictures.example"]
    names = Names(pictures=[[PUBLIC], ["127.0.0.1"]])
    got, wire, _ = served({"/": redirect("/next"), "/next": answer()}, names=names)
    assert (got.status, wire) == (400, [(PUBLIC, 80)])


def test_a_tls_server_is_named_by_its_host():
    hello = []

    async def handle(reader, writer):
        hello.append(await reader.read(4096))
        writer.close()

    async def run():
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        wire = Wire(server.sockets[0].getsockname()[1])
        with pytest.raises(ApiError) as caught:
            await fetch(
                "https://pictures.example/",
                max_bytes=9,
                timeout=5.0,
                resolve=Names(),
                open_socket=wire,
            )
        server.close()
        return caught.value.status, wire.connections

    assert asyncio.run(run()) == (502, [(PUBLIC, 443)])
    assert b"pictures.example" in hello[0]


def test_a_tls_server_with_no_valid_certificate_is_sent_nothing(tmp_path):
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pictures.example")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("pictures.example")]), False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (tmp_path / "both.pem").write_bytes(secret + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    got, wire, requests = served({"/": answer()}, "https://pictures.example/", tls=context)
    assert (got.status, wire, requests) == (502, [(PUBLIC, 443)], [])


def test_lookups_and_sockets_of_the_system_are_the_default(monkeypatch):
    """Only here does a check give way, so that a loopback server can stand for the internet."""

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer())
        writer.close()

    async def run():
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setattr(fetching, "_PORTS", (port,))
        monkeypatch.setattr(fetching, "is_public", lambda address: True)
        monkeypatch.setattr(fetching, "_is_own", lambda address: False)
        got = await fetch(f"http://127.0.0.1:{port}/", max_bytes=100_000, timeout=5.0)
        server.close()
        return got, await look_up("localhost", port), await look_up("a" * 64, port)

    got, localhost, none = asyncio.run(run())
    assert got == PICTURE
    assert set(localhost) <= {"127.0.0.1", "::1"}
    assert localhost
    assert none == []


def test_redirects_are_followed_without_cookies():
    cookie = "Set-Cookie: a=b"
    pages = {
        "/": answer(b"", "text/html", "301 Moved", "Location: /2", cookie),
        "/2": redirect("3?x=y", 303),
        "/3?x=y": redirect("//other.example/4", 307),
        "/4": redirect("http://pictures.example:80/5", 308),
        "/5": redirect("/6"),
        "/6": answer(),
    }
    got, _, requests = served(pages)
    assert got == PICTURE
    assert len(requests) == 6
    assert "Host: other.example\r\n" in requests[3]
    assert not any("cookie" in request.lower() for request in requests)


def test_a_sixth_redirect_is_refused():
    got, wire, _ = served({"/": redirect("/")})
    assert (got.status, len(wire)) == (400, 6)
    assert "redirects" in got.message


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/secret",
        "http://169.254.169.254/secret",
        "//[::1]/secret",
        "http://2130706433/secret",
        "http://inside.example/secret",
        "http://a:b@pictures.example/secret",
        "http://pictures.example:22/secret",
        "file:///secret",
        "/\\127.0.0.1/secret",
        "http://[secret",
        "",
    ],
)
def test_a_redirect_passes_the_same_checks_and_stays_unknown(target):
    got, wire, _ = served({"/": redirect(target)}, names=Names(inside=[["10.0.0.1"]]))
    assert (got.status, wire) == (400, [(PUBLIC, 80)])
    assert "redirect" in got.message
    assert "secret" not in got.message


def test_a_redirect_from_https_to_http_is_refused():
    base = fetching.URL("https://pictures.example/")
    with pytest.raises(ApiError, match="https to http"):
        fetching._parse("http://pictures.example/", base)


@pytest.mark.parametrize(
    ("page", "status", "reason"),
    [
        (answer(b"<html>", "text/html"), 400, "neither a picture nor a sound"),
        (answer(b"{}", "application/json"), 400, "neither a picture nor a sound"),
        (answer(bytes(100_001)), 400, "100000 bytes"),
        (announce, 400, "100000 bytes"),
        (endless, 400, "100000 bytes"),
        (
            answer(
                gzip.compress(bytes(50_000_000), 1), "image/png", "200 OK", "Content-Encoding: gzip"
            ),
            502,
            "compressed",
        ),
        (answer(b"", "image/png", "404 Not Found"), 502, "404"),
        (answer(b"", "image/png", "206 Partial Content"), 502, "206"),
        (answer(b"", "image/png", "401 Who", 'WWW-Authenticate: Basic realm="x"'), 502, "401"),
        (answer()[:-1], 502, "broke off"),
        (b"\x00garbage\r\n\r\n", 502, "broke off"),
        (b"", 502, "broke off"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 100_000, 502, "broke off"),
    ],
)
def test_an_answer_that_is_no_picture_within_the_limits_is_refused(page, status, reason):
    got, _, _ = served({"/": page})
    assert got.status == status
    assert reason in got.message


@pytest.mark.parametrize("page", [hang, drip])
def test_a_server_that_hangs_or_drips_is_left_in_time(page):
    began = time.perf_counter()
    got, _, _ = served({"/": page}, timeout=0.2)
    assert got.status == 504
    assert time.perf_counter() - began < 2


def test_the_time_limit_holds_for_lookups_and_redirects_together():
    async def slow(host, port):
        await asyncio.sleep(0.15)
        return [PUBLIC]

    assert served({"/": redirect("/")}, names=slow, timeout=0.4)[0].status == 504


V4 = st.ip_addresses(v=4)
PREFIXES = [
    int(IPv6Address(text))
    for text in (
        *("::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::", "2001:0:1::", "2a00::"),
        *("2606:4700::5efe:0:0", "2606:4700::200:5efe:0:0"),
    )
]
ADDRESSES = st.one_of(
    V4,
    st.ip_addresses(v=6),
    st.builds(lambda prefix, a: IPv6Address(prefix + int(a)), st.sampled_from(PREFIXES), V4),
    st.builds(lambda a: IPv6Address(0x2002 << 112 | int(a) << 80 | 1), V4),
)


@given(ADDRESSES)
def test_an_allowed_address_is_global_and_so_is_every_address_inside(address):
    if not is_public(address):
        return
    inside = [address]
    if address.version == 6:
        low, iid = IPv4Address(int(address) & 0xFFFFFFFF), int(address) >> 32 & 0xFFFFFFFF
        nat64 = address in ipaddress.ip_network("64:ff9b::/32")
        if nat64 or int(address) >> 32 == 0 or iid & 0xFDFFFFFF == 0x5EFE:
            inside.append(low)
        inside += filter(None, (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())))
    for each in inside:
        assert each.is_global
        assert not each.is_multicast


@given(st.ip_addresses(v=4, network="8.0.0.0/7"))
def test_public_addresses_are_allowed(address):
    assert is_public(address)
    assert is_public(IPv6Address(int(IPv6Address("64:ff9b::")) + int(address)))


@settings(max_examples=40)
@given(st.text(max_size=60))
def test_any_text_is_fetched_or_refused_with_a_fix(text):
    for url in (text, f"http://{text}/", f"http://pictures.example/{text}"):
        wire = Wire()
        error = refused(url, wire)
        assert error.status == (502 if wire.connections else 400)
        assert set(wire.connections) <= {(PUBLIC, 80), (PUBLIC, 443)}
