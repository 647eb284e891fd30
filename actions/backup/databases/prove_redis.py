"""Proving an RDB file: loaded by a throw-away server on a socket in a private directory, and its keys counted."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from actions.backup.databases.options import ProveOptions, RedisOptions
from actions.backup.databases.redis import Connection, connected
from actions.backup.databases.throwaway import (
    ProofFailed,
    check_root,
    give,
    scratch_folder,
    server,
    untroubled,
    write_file,
)
from contracts.errors import Unavailable, Why
from contracts.host import Host

_KEYS = re.compile(r"^(db\d+):keys=(\d+)", re.MULTILINE)


class ThrowawayRedis:
    """A server that is running and has loaded the file; made by `throwaway_redis`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def counts(self) -> dict[str, int]:
        """The keys of each database that has any."""
        return {name: int(count) for name, count in _KEYS.findall(self.ask("INFO keyspace"))}

    def ask(self, command: str) -> str:
        """The answer to a command, whose words are parted by blanks; an error of the server is ProofFailed."""
        said = self._connection.reply(*command.split())
        if said.startswith("-"):
            raise ProofFailed("the throw-away server", f"it does not answer {command[:80]!r}", said=said)
        return said


@contextmanager
def throwaway_redis(host: Host, options: ProveOptions, pieces: Iterable[bytes]) -> Iterator[ThrowawayRedis]:
    """A server without network that loads the file; ended and wiped afterwards. ProofFailed when it does not load."""
    check_root(options.run_as)
    with scratch_folder(options.scratch, options.run_as) as folder:
        file = folder / "dump.rdb"
        write_file(file, pieces)
        give(file, options.run_as)
        place = RedisOptions(socket=str(folder / "socket"), timeout=options.timeout)
        with (
            server(
                host,
                _words(host, folder),
                folder,
                run_as=options.run_as,
                ready=lambda: untroubled(lambda: _loaded(place)),
                timeout_s=options.timeout,
            ),
            connected(place, "", "the throw-away server") as connection,
        ):
            yield ThrowawayRedis(connection)


def _words(host: Host, folder: Path) -> tuple[str, ...]:
    settings = {
        "port": "0",
        "unixsocket": f"{folder}/socket",
        "unixsocketperm": "700",
        "dir": str(folder),
        "dbfilename": "dump.rdb",
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "maxmemory": "0",
        "hz": "1",
    }
    tool = "redis-server" if host.commands.present("redis-server") else "valkey-server"
    return (tool, *(word for key, value in settings.items() for word in (f"--{key}", value)))


def _loaded(place: RedisOptions) -> None:
    with connected(place, "", "the throw-away server") as connection:
        said = connection.reply("PING")
    if said != "+PONG":
        raise Unavailable(Why.OTHER, f"it is not ready: {said}", advice="wait")
