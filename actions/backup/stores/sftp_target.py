"""Where an SFTP store is and how to get in: address, user, path, the client's key and the pinned host keys."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import paramiko

from actions.backup.stores.store import Denied

MAKE_KEY = "make one with: ssh-keygen -t ed25519 -N '' -f"


@dataclass(frozen=True, slots=True)
class SftpTarget:
    """One place. `path` is the repository's root as the server sees it; `known_hosts` is the file that pins the server's key."""

    host: str
    path: str
    user: str
    key_file: str
    known_hosts: str
    port: int = 22
    connections: int = 0
    """How many at once; 0: as many as the way there asks for."""
    timeout_s: float = 60.0
    """No byte moved for so long: the connection counts as dead."""
    connect_timeout_s: float = 20.0

    def __str__(self) -> str:
        """As restic takes it: a second slash begins a path from the root, one slash a path from the account's home."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == 22 else f":{self.port}"
        return f"sftp://{self.user}@{host}{port}/{self.path}"


def load_client_key(path: str | Path) -> paramiko.Ed25519Key:
    """The client's ed25519 key; Denied says what is wrong with the file and what would do."""
    try:
        status = Path(path).stat()
    except OSError as error:
        raise Denied(f"{path}: the SSH key cannot be read: {error.strerror}", advice=f"{MAKE_KEY} {path}") from error
    if not stat.S_ISREG(status.st_mode):
        raise Denied(f"{path}: not a file", advice=f"{MAKE_KEY} {path}")
    loose = stat.S_IMODE(status.st_mode) & (0o037 if _is_credential(path) else 0o077)
    if loose:
        raise Denied(
            f"{path}: others may use this SSH key (its mode is {stat.S_IMODE(status.st_mode):04o})",
            advice=f"chmod 600 {path}, and make a new one if others had it",
        )
    try:
        return paramiko.Ed25519Key.from_private_key_file(str(path))
    except paramiko.PasswordRequiredException as error:
        raise Denied(
            f"{path}: the SSH key is encrypted, and nobody is there to type its passphrase every night",
            advice=f"use a key of its own without one, kept by systemd-creds where there is a TPM: {MAKE_KEY} FILE",
        ) from error
    except OSError as error:
        raise Denied(
            f"{path}: the SSH key cannot be read: {error.strerror}", advice="let the agent's user read it"
        ) from error
    except (paramiko.SSHException, ValueError, IndexError, TypeError) as error:
        raise Denied(f"{path}: not an ed25519 private key in OpenSSH's format", advice=f"{MAKE_KEY} {path}") from error


def _is_credential(path: str | Path) -> bool:
    """Whether systemd handed this file out: it may be readable by the service's group then, through an access list."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(folder) and Path(path).is_relative_to(folder or "")
