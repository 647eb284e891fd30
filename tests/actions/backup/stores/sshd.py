"""A real sshd on loopback for a test: its own configuration, keys and port, stopped at the end."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from actions.backup.stores.sftp_target import SftpTarget
from tests.free_port import free_port

USER = "nobody"
"""Whoever is chrooted: an account that is there on every Debian, with no password and no shell."""

WRITE_ONCE = "internal-sftp -P remove,rename,posix-rename,rmdir,setstat,fsetstat,lsetstat,symlink,copy-data -u 0277"

CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/client_key.pub
StrictModes no
UsePAM no
PidFile none
LogLevel ERROR
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 200
MaxSessions 50
UseDNS no
Subsystem sftp internal-sftp
{more}
"""


def make_key(path: Path) -> None:
    path.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path], check=True)


class Sshd:
    """An sshd; `more` are further lines of its configuration, `user` is who logs in. `{root}` in `more` is `root`."""

    def __init__(self, folder: Path, root: Path, *, user: str = "root", more: str = "") -> None:
        self.folder = folder
        self.root = root
        self.user = user
        self.port = free_port()
        for name in ("host_key", "client_key"):
            make_key(folder / name)
        self.config = folder / "sshd_config"
        self.config.write_text(CONFIG.format(port=self.port, folder=folder, more=more.format(root=root)))
        self.pin()
        self.command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(self.config)]
        self._process: subprocess.Popen[bytes] | None = None

    def pin(self, port: int | None = None) -> None:
        """Pin the host key that the server has now, for its own port and another one (a proxy's)."""
        key = " ".join((self.folder / "host_key.pub").read_text().split()[:2])
        names = ",".join(f"[127.0.0.1]:{number}" for number in (self.port, port) if number)
        (self.folder / "known_hosts").write_text(f"{names} {key}\n")

    def start(self) -> "Sshd":
        Path("/run/sshd").mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self.command, stderr=log)
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < until
                time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server and every session of it."""
        if self._process is None:
            return
        for child in _children(self._process.pid):
            for one in (*_children(child), child):
                try:
                    os.kill(one, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self._process.terminate()
        self._process.wait()
        self._process = None

    def target(self, path: str | None = None, **changes: object) -> SftpTarget:
        target = SftpTarget(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            path=path if path is not None else f"{self.root}/{secrets.token_hex(4)}/repository",
            key_file=str(self.folder / "client_key"),
            known_hosts=str(self.folder / "known_hosts"),
            connections=2,
            timeout_s=20,
            connect_timeout_s=10,
        )
        return replace(target, **changes)  # type: ignore[arg-type]


def _children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "--ppid", str(pid), "-o", "pid="], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder that a chroot may be in: root's alone, down from `/`, which nothing below /tmp is. In memory: it is full of folders soon."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-sshd-", dir="/run"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755,size=2g", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


@contextmanager
def normal(more: str = "") -> Iterator[Sshd]:
    """A server as it comes: one logs in and sees the whole file system."""
    with own_folder() as folder:
        (folder / "data").mkdir()
        server = Sshd(folder, folder / "data", more=more)
        try:
            yield server.start()
        finally:
            server.stop()


@contextmanager
def chrooted(force: str = "internal-sftp", more: str = "") -> Iterator[Sshd]:
    """A server that shows an unprivileged user one folder, with `repositories` in it that is his."""
    with own_folder() as folder:
        root = folder / "root"
        (root / "repositories").mkdir(parents=True)
        shutil.chown(root / "repositories", USER)
        match = (
            f"{more}\nMatch User {USER}\n  ChrootDirectory {{root}}\n  ForceCommand {force}\n  DisableForwarding yes\n"
        )
        server = Sshd(folder, root, user=USER, more=match)
        try:
            yield server.start()
        finally:
            server.stop()


def make_write_once_folders(server: Sshd, name: str) -> None:
    """What the owner of a write-once target makes beforehand."""
    repository = server.root / "repositories" / name
    folders = [repository, *(repository / word for word in ("keys", "locks", "snapshots", "index", "data", "tmp"))]
    folders += [repository / "data" / f"{number:02x}" for number in range(256)]
    for folder in folders:
        folder.mkdir()
        shutil.chown(folder, USER)
