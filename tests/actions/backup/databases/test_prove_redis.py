"""The throw-away Redis: it loads the file or says why not, and is gone afterwards."""

from pathlib import Path

import pytest

from actions.backup.databases.options import ProveOptions
from actions.backup.databases.prove_redis import throwaway_redis
from actions.backup.databases.throwaway import ProofFailed
from host.linux import LinuxHost
from tests.actions.backup.databases.test_prove_postgresql import processes
from tests.actions.backup.databases.test_rdb import GOOD
from tests.actions.backup.databases.test_redis import _rdb

TWO_KEYS = _rdb(b"\xfe\x00\x00\x01a\x011\x00\x01b\x012", magic=b"REDIS0009")


def test_it_answers_from_the_file_and_leaves_nothing_behind(host: LinuxHost, entered: Path) -> None:
    with throwaway_redis(host, options(entered), [TWO_KEYS[:9], TWO_KEYS[9:]]) as one:
        assert one.counts() == {"db0": 2}
        assert one.ask("GET a") == "1"
        assert one.ask("DBSIZE") == ":2"
        with pytest.raises(ProofFailed, match="unknown command"):
            one.ask("NONSENSE")
        (line,) = [line for line in processes_of_redis(entered).splitlines() if "redis-server" in line]
        assert line.startswith("nobody")
    assert processes_of_redis(entered) == ""


def options(scratch: Path) -> ProveOptions:
    return ProveOptions(scratch=str(scratch), run_as="nobody")


def processes_of_redis(scratch: Path) -> str:
    return "\n".join(line for line in processes(scratch).splitlines() if "redis-server" in line)


def test_a_file_that_does_not_load_is_said_with_the_words_of_the_server(host: LinuxHost, entered: Path) -> None:
    broken = bytearray(TWO_KEYS)
    broken[-1] ^= 1
    for content, words in (
        (bytes(broken), "RDB|CRC"),
        (GOOD, "RDB|type|short"),
        (b"hello", "RDB|format|signature|Short"),
    ):
        with pytest.raises(ProofFailed, match=words), throwaway_redis(host, options(entered), [content]):
            pass
    assert processes_of_redis(entered) == ""
