"""The client's own part: what it does when the other end is not the agent it hoped for."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent.control import HEADER, REPLIES, ask
from contracts.control import Reply
from contracts.errors import HoldfastError, Malformed, Unreachable


def answer_with(path: Path, words: bytes, wait_s: float = 0.0) -> threading.Thread:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)

    def serve() -> None:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(words)
        threading.Event().wait(wait_s)
        connection.close()
        listener.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


def test_an_agent_that_ends_in_the_middle_is_unreachable(tmp_path: Path) -> None:
    answer_with(tmp_path / "s", HEADER.pack(100) + b"half")
    with pytest.raises(Unreachable, match="closed the connection"):
        ask(tmp_path / "s", "status")


def test_an_agent_that_hangs_is_given_up_on(tmp_path: Path) -> None:
    answer_with(tmp_path / "s", b"", wait_s=1.0)
    with pytest.raises(Unreachable, match="did not answer within"):
        ask(tmp_path / "s", "status", timeout_s=0.2)


def test_an_answer_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    answer_with(tmp_path / "s", HEADER.pack(0xFFFFFFFF))
    with pytest.raises(Malformed, match="over the limit"):
        ask(tmp_path / "s", "status")


def test_the_exit_code_of_an_error_travels(tmp_path: Path) -> None:
    body = REPLIES.encode(Reply(error="no such subject", exit_code=2))
    answer_with(tmp_path / "s", HEADER.pack(len(body)) + body)
    with pytest.raises(HoldfastError) as caught:
        ask(tmp_path / "s", "subject")
    assert caught.value.exit_code == 2


def test_the_client_is_light_to_import() -> None:
    heavy = "{'asyncio', 'click', 'rich', 'yaml', 'sqlite3', 'ssl', 'selectors', 'psutil', 'cryptography'}"
    code = f"import sys, agent.control; print(sorted({heavy} & set(sys.modules) - {{'selectors'}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
