from tests.collectors.traffic.protocols.replay import talk
from tests.collectors.traffic.protocols.seeds import FTP


def test_every_command_is_a_transaction_with_its_replies() -> None:
    found = talk("ftp", *FTP[0][:3], close=False).conversation.transactions
    greeting, user = found
    assert greeting.buffers("ftp.completion_code", True) == [b"220"]
    assert (user.buffers("ftp.command", False), user.buffers("ftp.command_data", False)) == ([b"USER"], [b"anonymous"])
    assert (user.buffers("ftp.completion_code", True), user.buffers("ftp.reply", True)) == ([b"331"], [b"pw"])
    assert user.done and user.integers("ftp.reply_received", True) == [1]


def test_a_preliminary_reply_is_none_yet() -> None:
    begun = talk("ftp", (False, b"RETR a\r\n"), (True, b"150 opening\r\n"), close=False).conversation.transactions[0]
    assert (begun.done, begun.integers("ftp.reply_received", True)) == (False, [0])
    over = talk("ftp", (False, b"RETR a\r\n"), (True, b"150 a\r\n226 b\r\n"), close=False).conversation.transactions[0]
    assert (over.done, over.integers("ftp.reply_received", True)) == (True, [1])


def test_announced_data_connections_are_expected_when_a_file_is_asked_for() -> None:
    passive = talk(
        "ftp", (True, b"220 a\r\n"), (False, b"PASV\r\n"), (True, b"227 x (10,0,0,2,4,1)\r\n"), (False, b"RETR a\r\n")
    )
    assert passive.expected == [((0, 2), 1025, "ftp-data", (True, b"a"))]
    active = talk("ftp", (False, b"PORT 0,0,0,1,4,2\r\nSTOR b\r\n"))
    assert active.expected == [((0, 1), 1026, "ftp-data", (False, b"b"))]
    extended = talk("ftp", (False, b"EPSV\r\n"), (True, b"229 x (|||1027|)\r\n"), (False, b"RETR c\r\n"))
    assert extended.expected == [((0, 2), 1027, "ftp-data", (True, b"c"))]


def test_a_port_command_with_another_address_is_a_bounce() -> None:
    bounce = talk("ftp", (False, b"PORT 9,9,9,9,0,80\r\n")).conversation.transactions[0]
    honest = talk("ftp", (False, b"PORT 0,0,0,1,0,80\r\n")).conversation.transactions[0]
    assert (bounce.integers("ftpbounce", False), honest.integers("ftpbounce", False)) == ([1], [0])
    assert (bounce.integers("ftp.mode", False), bounce.integers("ftp.dynamic_port", False)) == ([0], [80])


def test_long_lines_are_told_and_passed_over() -> None:
    found = talk(
        "ftp", (False, b"USER " + b"a" * 9000), (False, b"a" * 9000 + b"\r\nQUIT\r\n")
    ).conversation.transactions
    assert found[0].events == ["request_command_too_long"]
    assert [tx.buffers("ftp.command", False) for tx in found] == [[b"USER"], [b"QUIT"]]


def test_what_a_data_connection_carries_is_a_file() -> None:
    (tx,) = talk("ftp-data", (True, b"one"), (True, b"two")).conversation.transactions
    assert (tx.buffers("file.data", True), tx.buffers("ftpdata_command", True), tx.done) == (
        [b"onetwo"],
        [b"retr"],
        True,
    )


def test_tls_follows_an_accepted_auth() -> None:
    assert talk("ftp", (False, b"AUTH TLS\r\n"), (True, b"234 go\r\n"), close=False).next_protocol == "tls"
