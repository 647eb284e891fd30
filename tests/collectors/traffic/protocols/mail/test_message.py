import base64
import email
import random
from email.message import EmailMessage

from collectors.traffic.protocols.mail.message import Message, decode_words, parameter
from collectors.traffic.protocols.news import File


def read(text: bytes) -> tuple[Message, list[File], list[str]]:
    files: list[File] = []
    events: list[str] = []
    message = Message(lambda name: files.append(File(False, name, limit=1 << 20)) or files[-1], events.append)
    for line in text.split(b"\r\n"):
        message.line(line)
    message.end()
    return message, files, events


def test_attachments_of_the_standard_library_come_back() -> None:
    """The email package is the oracle: attachments of any bytes, in the codings that it chooses."""
    for seed in range(40):
        chance = random.Random(seed)
        made = EmailMessage()
        made["From"], made["To"], made["Subject"] = "a@b.example", "c@d.example", "x" * chance.randrange(1, 200)
        made.set_content("text\nhttp://url.example/path end\n")
        expected = []
        for index in range(chance.randrange(1, 4)):
            data = chance.randbytes(chance.randrange(1, 3000))
            made.add_attachment(data, "application", "octet-stream", filename=f"f{index}.bin")
            expected.append((f"f{index}.bin".encode(), data))
        message, files, events = read(made.as_bytes(policy=email.policy.SMTP))
        assert [(file.name, file.kept.content()) for file in files] == expected
        assert all(file.closed and not file.truncated for file in files) and events == []
        assert message.fields["from"] == [b"a@b.example"] and message.urls == [b"url.example/path"]


def test_quoted_printable_and_plain_attachments_are_files() -> None:
    head = b'Content-Type: multipart/mixed; boundary="B"\r\n\r\n'
    quoted = b"--B\r\nContent-Disposition: attachment; filename=q\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc\r\n"
    plain = b"--B\r\nContent-Disposition: attachment; filename=p\r\n\r\none\r\ntwo\r\n--B--"
    _, files, _ = read(head + quoted + plain)
    assert [(file.name, file.kept.content()) for file in files] == [(b"q", b"a=bc\r\n"), (b"p", b"one\r\ntwo")]


def test_blocks_of_base64_are_the_same_as_lines() -> None:
    data = random.Random(1).randbytes(5000)
    head = b"Content-Disposition: attachment; filename=x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    files: list[File] = []
    message = Message(lambda name: files.append(File(False, name)) or files[-1], lambda name: None)
    for line in head.split(b"\r\n")[:-1]:
        message.line(line)
    assert message.takes_blocks
    message.block(base64.encodebytes(data).replace(b"\n", b"\r\n"))
    message.end()
    assert files[0].kept.content() == data


def test_what_is_odd_is_told() -> None:
    attached = b"Content-Disposition: attachment; filename=x\r\nContent-Transfer-Encoding: %b\r\n\r\n%b"
    assert read(attached % (b"base64", b"a!b"))[2] == ["mime_invalid_base64"]
    assert read(attached % (b"quoted-printable", b"=zz"))[2] == ["mime_invalid_qp"]
    assert read(attached % (b"base64", b"A" * 200))[2] == ["mime_long_enc_line"]
    assert read(b"no colon\r\n\r\n")[2] == ["mime_malformed_msg"]
    assert read(b"A" * 100 + b": x\r\n\r\n")[2] == ["mime_long_header_name"]
    assert read(b"A: " + b"x" * 1500 + b"\r\n\r\n")[2] == ["mime_long_line"]


def test_nesting_is_bounded() -> None:
    part = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(1000))
    message, _, _ = read(part)
    assert len(message._boundaries) <= 16


def test_parameters_and_encoded_words() -> None:
    assert parameter(b'; attachment; filename="a b.txt"; x=y', b"filename") == b"a b.txt"
    assert parameter(b";text/plain; name=z", b"filename", b"name") == b"z"
    assert decode_words(b"=?utf-8?B?YS5leGU=?=") == b"a.exe"
    assert decode_words(b"=?utf-8?Q?a=2Eexe?=") == b"a.exe"
