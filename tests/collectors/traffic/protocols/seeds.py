"""Conversations to begin mutation from: what both sides said, by protocol."""

import gzip
import struct
import zlib
from base64 import urlsafe_b64encode

from tests.collectors.traffic.protocols.http2.wire import Deflater, answered, asked, data, frame, headers, settings

Said = tuple[tuple[bool, bytes], ...]


def extension(kind: int, body: bytes) -> bytes:
    return struct.pack(">HH", kind, len(body)) + body


def client_hello(name: bytes = b"example.org", ciphers: bytes = b"\x13\x01\xc0\x2f\x0a\x0a") -> bytes:
    extensions = (
        extension(0, struct.pack(">HBH", len(name) + 3, 0, len(name)) + name)
        + extension(10, b"\x00\x04\x00\x1d\x00\x17")
        + extension(11, b"\x01\x00")
        + extension(13, b"\x00\x04\x04\x03\x08\x04")
        + extension(16, b"\x00\x0c\x02h2\x08http/1.1")
        + extension(43, b"\x04\x03\x04\x03\x03")
    )
    body = b"\x03\x03" + bytes(range(32)) + b"\x00" + struct.pack(">H", len(ciphers)) + ciphers + b"\x01\x00"
    body += struct.pack(">H", len(extensions)) + extensions
    return record(22, b"\x01" + len(body).to_bytes(3) + body)


def server_hello(cipher: bytes = b"\xc0\x2f") -> bytes:
    extensions = extension(65281, b"\x00") + extension(11, b"\x01\x00")
    body = (
        b"\x03\x03"
        + bytes(range(32, 64))
        + b"\x00"
        + cipher
        + b"\x00"
        + struct.pack(">H", len(extensions))
        + extensions
    )
    return record(22, b"\x02" + len(body).to_bytes(3) + body)


def record(kind: int, body: bytes) -> bytes:
    return struct.pack(">BHH", kind, 0x0303, len(body)) + body


def certificate_message(*ders: bytes) -> bytes:
    chain = b"".join(len(der).to_bytes(3) + der for der in ders)
    body = len(chain).to_bytes(3) + chain
    return record(22, b"\x0b" + len(body).to_bytes(3) + body)


def kex_init() -> bytes:
    lists = [
        b"curve25519-sha256",
        b"ssh-ed25519",
        b"aes128-ctr",
        b"aes256-ctr",
        b"hmac-sha2-256",
        b"hmac-sha1",
        b"none",
        b"zlib",
        b"",
        b"",
    ]
    body = b"\x14" + bytes(16) + b"".join(len(one).to_bytes(4) + one for one in lists) + b"\x00" + bytes(4)
    return (len(body) + 5).to_bytes(4) + b"\x04" + body + bytes(4)


def dns_message(name: bytes = b"www.example.org", answers: int = 2, response: bool = True) -> bytes:
    text = b"".join(bytes([len(label)]) + label for label in name.split(b".")) + b"\x00"
    head = struct.pack(">HHHHHH", 7, 0x8180 if response else 0x0100, 1, answers if response else 0, 0, 0)
    question = text + b"\x00\x01\x00\x01"
    return (
        head
        + question
        + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x01" * (answers if response else 0)
    )


_RAW = zlib.compressobj(wbits=-15)

HTTP: tuple[Said, ...] = (
    (
        (False, b"GET /a/%2e%2e/b?x=1#f HTTP/1.1\r\nHost: example.org\r\nCookie: a=b\r\nUser-Agent: t\r\n\r\n"),
        (True, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: s\r\n\r\nhello"),
    ),
    (
        (False, b"POST /u HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
         b"5;x=y\r\nhello\r\n0\r\nT: 1\r\n\r\nGET /2 HTTP/1.0\r\n\r\n"),
        (True, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
         + b"%x\r\n" % len(gzip.compress(b"a" * 500)) + gzip.compress(b"a" * 500) + b"\r\n0\r\n\r\nHTTP/1.0 404 No\r\n\r\nbody till close"),
    ),
    (
        (False, b"POST /f HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=XX\r\nContent-Length: 139\r\n\r\n--XX\r\n"
         b'Content-Disposition: form-data; name="f"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nfile\r\ncontent\r\n--XX--\r\n'),
        (True, b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Encoding: deflate, gzip\r\n\r\n"
         + gzip.compress(_RAW.compress(b"b" * 300) + _RAW.flush())),
    ),
    ((False, b"GET /old\r\n"), (True, b"<html>0.9</html>")),
    ((False, b"CONNECT h:443 HTTP/1.1\r\n\r\n"), (True, b"HTTP/1.1 200 OK\r\n\r\n"), (False, b"\x16\x03\x01")),
    ((False, b"HEAD / HTTP/1.1\nHost: h\n\n"), (True, b"HTTP/1.1 304 X\nContent-Length: 9\n\nHTTP/1.1 200\r\r\n\r\nx")),
)  # fmt: skip

SMTP: tuple[Said, ...] = (
    (
        (True, b"220 mail ESMTP\r\n"),
        (False, b"EHLO me\r\n"),
        (True, b"250-mail\r\n250 OK\r\n"),
        (False, b"MAIL FROM:<a@b>\r\n"),
        (True, b"250 OK\r\n"),
        (False, b"RCPT TO:<c@d>\r\n"),
        (True, b"250 OK\r\n"),
        (False, b"DATA\r\n"),
        (True, b"354 go\r\n"),
        (False, b"From: a\r\nSubject: s\r\nContent-Type: multipart/mixed; boundary=\"B\"\r\n\r\n--B\r\nContent-Type: text/plain\r\n\r\n"
         b"see http://x.example/y\r\n--B\r\nContent-Disposition: attachment; filename=\"e.bin\"\r\n"
         b"Content-Transfer-Encoding: base64\r\n\r\n"
         b"aGVsbG8g\r\nd29ybGQ=\r\n--B\r\nContent-Disposition: attachment; filename=q.txt\r\n"
         b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
         b"=41=\r\nB=3D\r\n--B--\r\n.\r\n"),
        (True, b"250 queued\r\n"),
        (False, b"QUIT\r\n"),
        (True, b"221 bye\r\n"),
    ),
)  # fmt: skip

FTP: tuple[Said, ...] = (
    (
        (True, b"220 (ftp)\r\n"),
        (False, b"USER anonymous\r\n"),
        (True, b"331 pw\r\n"),
        (False, b"PASV\r\n"),
        (True, b"227 Entering (10,0,0,2,4,1)\r\n"),
        (False, b"RETR a.txt\r\nEPSV\r\nPORT 10,0,0,1,4,2\r\nEPRT |1|10.0.0.1|1234|\r\n"),
        (True, b"150 here\r\n226 done\r\n229 x (|||1025|)\r\n200 ok\r\n"),
    ),
)

MAGIC = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def _http2() -> tuple[Said, ...]:
    there, back = Deflater(), Deflater()
    question = urlsafe_b64encode(dns_message(response=False)).rstrip(b"=")
    coded, form = (b"content-encoding", b"gzip"), (b"cookie", b"a=b")
    block = there.block(asked(b"/b?x=%41", b"POST", form))
    return (
        (
            (False, MAGIC + settings((1, 100), (2, 0)) + headers(1, there.block(asked(b"/a", b"GET", form)))),
            (
                True,
                settings((3, 100)) + frame(8, 0, b"\0\0\x01\0") + headers(1, back.block(answered(b"200", coded)), 4),
            ),
            (
                False,
                headers(3, block[:9], 0)
                + frame(9, 3, block[9:], 4)
                + data(3, b"\3x=1\0\0\0", 9)
                + frame(6, 0, bytes(8)),
            ),
            (
                True,
                data(1, gzip.compress(b"a" * 500))
                + frame(2, 3, b"\0\0\0\1\7")
                + headers(3, back.block(answered(b"404"))),
            ),
            (True, frame(3, 5, b"\0\0\0\x08") + frame(7, 0, b"\0\0\0\3\0\0\0\0")),
        ),
        (
            (False, MAGIC + headers(1, Deflater().block(asked(b"/dns-query?dns=" + question)))),
            (
                True,
                frame(5, 1, b"\0\0\0\2" + Deflater().block(asked(b"/p")), 4)
                + headers(1, b"\x88\x5f\x17application/dns-message", 4)
                + data(1, dns_message()),
            ),
        ),
    )


SEEDS: dict[str, tuple[Said, ...]] = {
    "http": HTTP,
    "http2": _http2(),
    "tls": (
        (
            (False, client_hello()),
            (True, server_hello() + certificate_message(b"\x30\x03\x02\x01\x01")),
            (False, record(20, b"\x01")),
        ),
    ),
    "ssh": (((False, b"SSH-2.0-a b\r\n" + kex_init()), (True, b"SSH-2.0-c\r\n" + kex_init())),),
    "smtp": SMTP,
    "ftp": FTP,
    "dns": (((False, dns_message(response=False)), (True, dns_message())),),
    "ftp-data": (((True, b"file"),),),
}
