"""The relay serves signed databases unchanged, to a real freshclam, too, and nothing else."""

import http.client
import os
import subprocess
import threading

import pytest

from agent.relay import AT_ONCE, NotServed, Relay
from tests.clamav_lab import FRESHCLAM, database

SIGNED = database(27100).replace(b":X:tests", b":c2lnbmVk:tests", 1)


@pytest.fixture
def relay(tmp_path):
    folder = tmp_path / "signatures"
    folder.mkdir()
    (folder / "daily.cvd").write_bytes(SIGNED)
    (folder / "main.cvd").write_bytes(database(1))
    (folder / "daily.cud").write_bytes(database(1))
    (folder / "daily-27100.cvd.sign").write_bytes(b"#clamsign-1.0\n")
    (folder / "main-1.cvd.sign").symlink_to(tmp_path / "outside.cvd")
    (folder / "bytecode-1.cvd.sign").write_bytes(bytes((1 << 20) + 1))
    (folder / "freshclam.dat").write_bytes(b"secret")
    (tmp_path / "outside.cvd").write_bytes(SIGNED)
    (folder / "bytecode.cvd").symlink_to(tmp_path / "outside.cvd")
    server = Relay("127.0.0.1", 0, str(folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def ask(relay, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", relay.server_address[1], timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body, answer.headers


def test_a_signed_database_passes_through_unchanged(relay):
    status, body, headers = ask(relay, "/daily.cvd")
    assert (status, body) == (200, SIGNED)
    assert ask(relay, "/daily.cvd", **{"Range": "bytes=0-511"})[:2] == (206, SIGNED[:512])
    assert ask(relay, "/daily.cvd", "HEAD")[:2] == (200, b"")
    assert ask(relay, "/daily.cvd", **{"If-Modified-Since": headers["Last-Modified"]})[0] == 304


def test_the_signature_beside_it_passes_through_too(relay):
    assert ask(relay, "/daily-27100.cvd.sign")[:2] == (200, b"#clamsign-1.0\n")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/main.cvd",
        "/daily.cud",
        "/daily.cld",
        "/bytecode.cvd",
        "/freshclam.dat",
        "/../outside.cvd",
        "/main-1.cvd.sign",
        "/bytecode-1.cvd.sign",
        "/daily-27101.cvd.sign",
        "/daily-27100.cld.sign",
        "/daily-.cvd.sign",
        "/daily.cvd/",
        "/daily.cvd?x",
    ],
)
def test_nothing_else_is_served(relay, path):
    assert ask(relay, path)[:2] == (404, b"")


def test_too_many_at_once_are_told_to_come_later(relay):
    for _ in range(AT_ONCE):
        relay.places.acquire()
    assert ask(relay, "/daily.cvd")[0] == 503


def test_a_port_that_is_taken_is_said(relay, tmp_path):
    with pytest.raises(NotServed, match="in use"):
        Relay("127.0.0.1", relay.server_address[1], str(tmp_path))


def test_a_real_freshclam_takes_it_for_a_mirror_and_checks_the_signature_itself(relay, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    conf = tmp_path / "freshclam.conf"
    conf.write_text(
        f"DatabaseDirectory {own}\nDatabaseOwner root\nPrivateMirror http://127.0.0.1:{relay.server_address[1]}\n"
        "ExcludeDatabase main\nExcludeDatabase bytecode\nMaxAttempts 1\n"
    )
    done = subprocess.run([FRESHCLAM, f"--config-file={conf}", "--stdout"], capture_output=True, text=True, timeout=60)
    assert "27100" in done.stdout or "daily.cvd" in done.stdout, done.stdout
    assert done.returncode != 0 and not (own / "daily.cvd").exists(), "a forged signature is refused"
    assert os.listdir(own) == ["freshclam.dat"]
