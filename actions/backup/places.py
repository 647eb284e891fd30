"""Places: the store behind what settings and command lines call a repository: a directory of this machine, or one on an SFTP server."""

import re

from actions.backup.options import SshOptions
from actions.backup.stores.local import LocalStore
from actions.backup.stores.sftp import open_sftp
from actions.backup.stores.sftp_target import SftpTarget
from actions.backup.stores.store import Store
from contracts.errors import UsageError

_URL = re.compile(
    r"sftp://(?P<user>[^/@\s]+)@(?P<host>\[[0-9A-Fa-f:.]+\]|[^/@:\s]+)(?::(?P<port>\d{1,5}))?/(?P<path>.+)"
)
_SHORT = re.compile(r"sftp:(?P<user>[^/@\s]+)@(?P<host>\[[0-9A-Fa-f:.]+\]|[^/@:\s]+):(?P<path>.+)")


def open_place(location: str, ssh: SshOptions | None = None) -> Store:
    """The store at `location`, in restic's words; UsageError for what is no place. Nothing is connected yet."""
    if location.startswith("/"):
        return LocalStore(location)
    target = sftp_target(location, ssh or SshOptions())
    return open_sftp(target)


def sftp_target(location: str, ssh: SshOptions) -> SftpTarget:
    """What `sftp://USER@HOST[:PORT]/PATH` or `sftp:USER@HOST:PATH` mean: the path from the account's home, `//` or `/` from its root."""
    found = _URL.fullmatch(location) or _SHORT.fullmatch(location)
    port = int(found.groupdict().get("port") or 22) if found is not None else 0
    if found is None or not 0 < port < 65536:
        raise UsageError(
            f'"{location}" is not a place of a repository',
            advice="give the absolute path of a directory, or sftp://USER@HOST[:PORT]/PATH",
        )
    return SftpTarget(
        host=found["host"].strip("[]"),
        path=found["path"],
        user=found["user"],
        port=port,
        key_file=ssh.key_file,
        known_hosts=ssh.known_hosts,
        connections=ssh.connections,
    )
