import pytest

from tests.collectors.traffic.protocols.replay import talk
from tests.collectors.traffic.protocols.seeds import SMTP


@pytest.mark.parametrize("size", [1, 9, 1000])
def test_a_mail_is_a_transaction_in_any_pieces(size: int) -> None:
    said = [(side, text[at : at + size]) for side, text in SMTP[0] for at in range(0, len(text), size)]
    mail = talk("smtp", *said).conversation.transactions[0]
    expected = {
        "smtp.helo": [b"me"], "smtp.mail_from": [b"a@b"], "smtp.rcpt_to": [b"c@d"], "email.from": [b"a"], "email.subject": [b"s"],
        "email.url": [b"x.example/y"], "file.name": [b"e.bin", b"q.txt"], "file.data": [b"hello world", b"AB=\r\n"],
    }  # fmt: skip
    assert {name: mail.buffers(name, False) for name in expected} == expected
    assert mail.done and mail.events == []


def test_starttls_hands_over_to_tls_or_says_that_it_was_refused() -> None:
    start = ((True, b"220 x\r\n"), (False, b"STARTTLS\r\n"))
    assert talk("smtp", *start, (True, b"220 go\r\n"), close=False).next_protocol == "tls"
    assert talk("smtp", *start, (True, b"454 no\r\n"), close=False).conversation.transactions[0].events == [
        "tls_rejected"
    ]


def test_chunks_are_messages_too() -> None:
    mail = talk(
        "smtp", (True, b"220 x\r\n"), (False, b"MAIL FROM:<a>\r\nBDAT 12 LAST\r\nSubject: s\r\n")
    ).conversation.transactions[0]
    assert mail.buffers("email.subject", False) == [b"s"]


def test_what_is_odd_is_told() -> None:
    def told(*said: tuple[bool, bytes]) -> set[str]:
        return {name for tx in talk("smtp", *said).conversation.transactions for name in tx.events}

    assert told((True, b"hello\r\n")) == {"invalid_reply"}
    assert told((True, b"500 no\r\n")) >= {"no_server_welcome_message"}
    assert told((True, b"220 x\r\n250 what\r\n")) == {"unable_to_match_reply_with_request"}
    assert told((False, b"A" * 9000)) == {"max_command_line_len_exceeded"}
    assert told((True, b"220 " + b"A" * 9000)) == {"max_reply_line_len_exceeded"}
    assert told((True, b"220 x\r\n"), (False, b"DATA\r\n"), (True, b"503 no\r\n")) == {"data_command_rejected"}
    assert told((True, b"220 x\r\n"), (False, b"BDAT x\r\n")) == {"bdat_chunk_len_exceeded"}


def test_goodbye_begins_no_mail() -> None:
    said = [*SMTP[0], (False, b"QUIT\r\n"), (True, b"221 x\r\n")]
    before, after = (len(talk("smtp", *part).conversation.transactions) for part in (SMTP[0], said))
    assert before == after
    alone = talk("smtp", (True, b"220 x\r\n"), (False, b"QUIT\r\n"), (True, b"221 x\r\n"))
    assert len(alone.conversation.transactions) == 1


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
@pytest.mark.parametrize("first", [1, 19, 20, 300, 330])
def test_lines_of_a_mail_in_chunks_end_where_they_end(size: int, first: int) -> None:
    text = b"Subject: first\r\nX-Filler: " + b"f" * 250 + b"\r\nContent-Type: application/x; name=a.bin\r\n"
    text += b'Content-Disposition: attachment;\r\n filename="invoice.exe"\r\n\r\none\r\ntwo'
    rest = text[first:]
    said = b"MAIL FROM:<a>\r\nBDAT %d\r\n%bBDAT %d LAST\r\n%b" % (first, text[:first], len(rest), rest)
    pieces = [(False, said[at : at + size]) for at in range(0, len(said), size)]
    mail = talk("smtp", (True, b"220 x\r\n"), *pieces).conversation.transactions[0]
    assert (mail.buffers("email.subject", False), mail.done) == ([b"first"], True)
    assert mail.buffers("file.name", False) == [b"invoice.exe"]


def test_the_last_chunk_may_be_large() -> None:
    said = (False, b"MAIL FROM:<a>\r\nBDAT 1000000 LAST\r\nSubject: s\r\n\r\n" + b"x" * 999_986)
    mail = talk("smtp", (True, b"220 x\r\n"), said, close=False).conversation.transactions[0]
    assert mail.buffers("email.subject", False) == [b"s"] and mail.done
