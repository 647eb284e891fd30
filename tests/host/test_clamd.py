"""Files are scanned by a real clamd, handed over as descriptors or sent; and a daemon that lies or hangs is told of."""

import os
import socket
import threading

import pytest

from contracts.errors import Unavailable, Why
from host.clamd import LinuxClamd
from tests import clamav_lab

CLAMD = LinuxClamd()


@pytest.fixture(scope="module")
def lab():
    with clamav_lab.running(StreamMaxLength="1M") as lab:
        yield lab


def opened(path, content=None):
    if content is not None:
        path.write_bytes(content)
    return os.open(path, os.O_RDONLY)


def scan(lab, *descriptors):
    """The verdicts in the order of the files."""
    with CLAMD.session(lab.address, timeout_s=30) as session:
        numbers = [session.submit(each) for each in descriptors]
        found = {}
        while session.waiting:
            found |= dict(session.verdicts())
    return [found[number] for number in numbers]


def test_it_says_its_version_and_that_it_is_there(lab):
    assert CLAMD.ask(lab.address, "PING") == "PONG"
    assert "/27001/" in CLAMD.ask(lab.address, "VERSION")
    with pytest.raises(ValueError, match="not a question"):
        CLAMD.ask(lab.address, "SHUTDOWN")


def test_files_that_clamd_itself_could_not_read_are_scanned_by_descriptor(lab, tmp_path):
    tmp_path.chmod(0o700)
    eicar, clean = opened(tmp_path / "eicar", clamav_lab.EICAR), opened(tmp_path / "clean", b"hello")
    (tmp_path / "eicar").chmod(0)
    verdicts = scan(lab, clean, eicar, clean, eicar)
    assert [each.state for each in verdicts] == ["clean", "infected", "clean", "infected"]
    assert verdicts[1].signature == f"{clamav_lab.NAME}.UNOFFICIAL"


def test_debians_test_files_are_found_through_the_daemon(lab):
    names = ["clam.exe", "clam.zip", "clam.tar.gz", "clam.bz2.zip", "clam.cab", "clam.mail", "clam.exe.bz2", "clam.7z"]
    verdicts = scan(lab, *(opened(clamav_lab.TEST_FILES / name) for name in names))
    assert {name: each.state for name, each in zip(names, verdicts, strict=True)} == dict.fromkeys(names, "infected")


def test_a_folder_and_a_device_fail_and_the_session_goes_on(lab, tmp_path):
    verdicts = scan(
        lab, os.open(tmp_path, os.O_RDONLY), os.open("/dev/null", os.O_RDONLY), opened(tmp_path / "e", clamav_lab.EICAR)
    )
    assert [each.state for each in verdicts] == ["failed", "failed", "infected"]


def test_what_is_sent_is_scanned_and_what_is_too_long_is_skipped(lab, tmp_path):
    assert CLAMD.stream(lab.address, opened(tmp_path / "e", clamav_lab.EICAR), 1 << 20).state == "infected"
    assert CLAMD.stream(lab.address, opened(tmp_path / "c", b"hello"), 1 << 20).state == "clean"
    long = opened(tmp_path / "l", bytes(3 << 20))
    assert CLAMD.stream(lab.address, long, 1 << 20).state == "skipped", "by what is known of its limit"
    assert CLAMD.stream(lab.address, long, 1 << 30).state == "skipped", "by its own answer"


def test_no_socket_and_nobody_behind_it_are_told_apart(tmp_path):
    with pytest.raises(Unavailable) as missing:
        CLAMD.ask(f"unix:{tmp_path}/none", "PING")
    assert missing.value.why is Why.OTHER, "it is configured: no finding, but a failure to look"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(f"{tmp_path}/s")
        with pytest.raises(Unavailable, match="refused"):
            CLAMD.ask(f"unix:{tmp_path}/s", "PING")


@pytest.mark.parametrize(
    ("answer", "why"),
    [(b"1: fd[1]: OK", Why.TIMEOUT), (b"9: fd[1]: OK\0", Why.MALFORMED), (b"rubbish\0", Why.MALFORMED), (b"", Why.TIMEOUT),
     (b"x" * 100_000, Why.MALFORMED), (None, Why.OTHER)],
    ids=["half", "unasked", "rubbish", "silent", "endless", "closed"],
)  # fmt: skip
def test_a_daemon_that_lies_or_hangs_never_makes_a_file_clean(tmp_path, answer, why):
    path = f"{tmp_path}/s"
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    held = []

    def serve():
        sock, _ = server.accept()
        held.append(sock)
        sock.recv(1 << 16)
        if answer is None:
            sock.shutdown(socket.SHUT_RDWR)
        else:
            sock.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    limit_s = 0.5 if why is Why.TIMEOUT else 60.0
    with pytest.raises(Unavailable) as told, CLAMD.session(f"unix:{path}", timeout_s=limit_s) as session:
        session.submit(opened(tmp_path / "f", b"x"))
        while session.waiting:
            session.verdicts()
    assert told.value.why is why
    server.close()
