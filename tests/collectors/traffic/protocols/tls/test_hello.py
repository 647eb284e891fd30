from collectors.traffic.protocols.tls.hello import Hello, grease, ja3, ja4, md5, read
from tests.collectors.traffic.protocols.seeds import client_hello, extension


def test_ja3_of_the_published_examples() -> None:
    """The two examples of the fingerprint's own page (salesforce/ja3, README)."""
    modern = Hello(
        version=769,
        ciphers=[47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
        extensions=[0, 10, 11],
        groups=[23, 24, 25],
        points=[0],
    )
    assert ja3(modern) == "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0"
    assert md5(ja3(modern)) == b"ada70206e40642a3e4461f35503241d5"
    old = Hello(version=769, ciphers=[4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99])
    assert md5(ja3(old)) == b"de350869b8c85de67a350c8d186f11e6"


def test_ja4_of_the_published_example() -> None:
    """The worked example of the specification (FoxIO-LLC/ja4, technical_details/JA4.md)."""
    hello = Hello(
        version=0x0303,
        ciphers=[
            0x1A1A,
            0x1301,
            0x1302,
            0x1303,
            0xC02B,
            0xC02F,
            0xC02C,
            0xC030,
            0xCCA9,
            0xCCA8,
            0xC013,
            0xC014,
            0x9C,
            0x9D,
            0x2F,
            0x35,
        ],
        extensions=[
            0x0A0A,
            0x1B,
            0x00,
            0x33,
            0x10,
            0x4469,
            0x17,
            0x2D,
            0x0D,
            0x05,
            0x23,
            0x12,
            0x2B,
            0xFF01,
            0x0B,
            0x0A,
            0x15,
        ],
        signatures=[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
        versions=[0x0A0A, 0x0304, 0x0303],
        alpn=[b"h2", b"http/1.1"],
    )
    assert ja4(hello) == "t13d1516h2_8daaf6152771_e5627efa2ab1"


def test_a_hello_is_read_with_its_extensions() -> None:
    hello = read(client_hello(b"host.example")[9:], True)
    assert (hello.sni, hello.alpn, hello.version, hello.versions) == (
        b"host.example",
        [b"h2", b"http/1.1"],
        0x0303,
        [0x0304, 0x0303],
    )
    assert (hello.groups, hello.points, hello.signatures, hello.events) == ([29, 23], [0], [0x0403, 0x0804], [])
    assert ja3(hello) == "771,4865-49199,0-10-11-13-16-43,29-23,0"


def test_grease_is_known() -> None:
    assert [number for number in range(0x10000) if grease(number)] == [0x0A0A + 0x1010 * step for step in range(16)]


def test_what_is_odd_is_told() -> None:
    assert read(b"short", True).events == ["handshake_invalid_length"]
    head = b"\x03\x03" + bytes(32) + b"\0\0\x02\x13\x01\x01\0"

    def told(body: bytes) -> list[str]:
        return read(head + len(body).to_bytes(2) + body, True).events

    name = b"\0\x04\0\0\x01a"
    assert told(extension(0, name) + extension(0, name)) == ["multiple_sni_extensions"]
    assert told(extension(0, b"\0\x04\x07\0\x01a")) == ["invalid_sni_type"]
    assert told(extension(0, b"\0\x04\0\0\x09a")) == ["invalid_sni_length"]
    assert told(b"\0\0\0\x09a") == ["handshake_invalid_length"]
