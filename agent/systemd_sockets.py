"""How the core comes by workers that systemd starts: it connects to `NAME.sock`, and the socket unit does the rest."""

import pwd
import socket
from collections.abc import Mapping
from pathlib import Path

from agent.listen_fds import peer_uid
from contracts.errors import Refused, Unreachable


class SystemdSockets:
    """Connects to the workers' socket units below `folder`; `users` names each worker's user. A `Connector`."""

    def __init__(self, folder: Path, users: Mapping[str, str], owners: frozenset[int] = frozenset({0})) -> None:
        """`owners` are the users that may own a listening socket there: systemd's alone."""
        self._folder, self._users, self._owners = folder, users, owners

    def connect(self, name: str) -> socket.socket:
        """Connect without waiting; raises `Unreachable`, or `Refused` for a socket that systemd did not make."""
        path = self._folder / f"{name}.sock"
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            sock.connect(str(path))
        except OSError as error:
            sock.close()
            advice = f"Check `systemctl status 'holdfast-{name}.socket'`."
            raise Unreachable(f"worker {name} cannot be reached at {path}: {error.strerror}", advice=advice) from error
        if peer_uid(sock) not in self._owners:
            uid = peer_uid(sock)
            sock.close()
            raise Refused(f"{path} belongs to user {uid}, not to the service manager")
        return sock

    def kill(self, name: str) -> bool:  # noqa: ARG002  # another user's process is the service manager's to kill
        """Return False: closing the socket makes the worker end, and the unit's watchdog ends one that is stopped."""
        return False

    def uids(self, name: str) -> frozenset[int]:
        """Return the worker's user."""
        try:
            return frozenset({pwd.getpwnam(self._users[name]).pw_uid})
        except KeyError:
            return frozenset()
