"""A small world of rpm below a folder: a key of its own, packages built and signed by rpm's own tools, and a root that they go into."""

import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collectors.integrity.packages import dnf_history, dpkg_state, rpm_database, rpm_keys
from contracts.file_change import MODIFIED, Change
from contracts.trees import Node, TreePlan
from host.linux import LinuxHost

DATABASE = "/usr/lib/sysimage/rpm"
SPEC = """
Name: hf-tool
Version: {version}
Release: 1
Summary: t
License: MIT
BuildArch: noarch
%description
t
%install
cp -a {tree}/. %{{buildroot}}
%files
%defattr(-,root,root)
{listed}
%post
# /var/lib/hf/made
"""


class Rpms:
    """`place` moves every fixed path of rpm's desk below the folder; the key files begin empty of keys."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.root = folder, folder / "root"
        self.home, self.keys = folder / "gnupg", folder / "keys"
        self.database = Path(f"{self.root}{DATABASE}")
        for each in (self.home, self.keys, self.database):
            each.mkdir(parents=True)
        self.home.chmod(0o700)
        self.history = folder / "history.sqlite"
        monkeypatch.setattr(rpm_database, "FOLDERS", (str(self.database),))
        monkeypatch.setattr(rpm_keys, "FOLDERS", (str(self.keys),))
        monkeypatch.setattr(dnf_history, "FILES", (str(self.history),))
        monkeypatch.setattr(dpkg_state, "DPKG", str(folder / "dpkg"))
        self.key("Test <t@example.org>")

    def gpg(self, *words: str, text: bytes = b"") -> bytes:
        base = ["gpg", "--homedir", str(self.home), "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
        return subprocess.run([*base, *words], input=text, capture_output=True, check=True).stdout

    def key(self, who: str, kind: str = "rsa2048") -> str:
        """Make a key that `sign` can use; returns its fingerprint."""
        self.gpg("--quick-gen-key", who, kind, "sign", "0")
        lines = self.gpg("--list-keys", "--with-colons", who).decode().splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr:"))

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "gpg-agent"], check=False)

    def key_file(self, who: str = "t@example.org", name: str = "RPM-GPG-KEY-test") -> None:
        """Lay a public key into the folder of key files."""
        (self.keys / name).write_bytes(self.gpg("--armor", "--export", who))

    def build(
        self, version: str = "1.0", files: dict[str, bytes] | None = None, listed: str = "", *define: str
    ) -> Path:
        """Build a package of files with `listed` beside them in its list."""
        tree = self.folder / f"tree-{version}"
        for name, content in (files or {"usr/bin/hf-tool": b"one\n"}).items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(content)
            (tree / name).chmod(0o755 if "/bin/" in name else 0o644)
        plain = "\n".join(f"/{name}" for name in (files or {"usr/bin/hf-tool": b""}) if f"/{name}" not in listed)
        spec = self.folder / f"{version}.spec"
        spec.write_text(SPEC.format(version=version, tree=tree, listed=f"{plain}\n{listed}"))
        self.run("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {self.folder}/top", *define, str(spec))
        return self.folder / f"top/RPMS/noarch/hf-tool-{version}-1.noarch.rpm"

    def sign(self, path: Path, who: str = "t@example.org") -> Path:
        gpg = subprocess.run(["which", "gpg"], capture_output=True, check=True, text=True).stdout.strip()
        words = ["--define", f"__gpg {gpg}", "--define", f"_gpg_name {who}", "--define", f"_gpg_path {self.home}"]
        self.run("rpmsign", "--addsign", *words, str(path))
        return path

    def rpm(self, *words: str) -> None:
        """Run rpm within the root; scripts are left out, for there is no shell."""
        self.run("rpm", "--root", str(self.root), "--dbpath", DATABASE, *words)

    def install(self, path: Path, *words: str) -> None:
        self.rpm("-U", "--nodeps", "--noscripts", *words, str(path))

    def installed(self, version: str = "1.0", **build: dict[str, bytes] | str) -> None:
        """Build, sign and install a package."""
        self.install(self.sign(self.build(version, **build)))  # type: ignore[arg-type]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have another process hold the database's lock, as each run of rpm does."""
        lock = str(self.database / ".rpm.lock")
        code = f"import fcntl, sys; f = open({lock!r}, 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stdout.readline() == b"\n"
            yield
            process.communicate()

    def run(self, *words: str) -> None:
        few = ("prlimit", "--nofile=256")  # rpm closes every descriptor that there may be, one after another
        done = subprocess.run(
            [*few, *words], capture_output=True, check=False, env=os.environ | {"HOME": str(self.folder)}
        )
        assert done.returncode == 0, (words, done.stderr.decode())

    def edit(self, change: Callable[[bytes], bytes]) -> None:
        """Write other headers into rpm's database, as somebody does who is root."""
        base = sqlite3.connect(self.database / "rpmdb.sqlite")
        for number, blob in base.execute("SELECT hnum, blob FROM Packages").fetchall():
            base.execute("UPDATE Packages SET blob = ? WHERE hnum = ?", (change(blob), number))
        base.commit()
        base.close()

    def node(self, path: str) -> Node:
        """Return what stands at a path of the root, as a watch of the system sees it there."""
        found = LinuxHost().trees.node(f"{self.root}{path}".encode(), TreePlan(hash_name="sha256", threads=1))
        assert found is not None and stat.S_IFMT(found.mode)
        return found

    def change(self, path: str, before: Node | None = None) -> Change:
        """Return a change to what stands at a path of the root now."""
        at_ms = int(time.time() * 1000)
        return Change(path=path.encode(), kinds=(MODIFIED,), before=before, after=self.node(path), at_ms=at_ms)

    def dnf(self, began_s: int, ended_s: int | None, *names: str, user: int = 0, command: str = "dnf upgrade") -> None:
        """Write a run into a history as dnf 4 keeps it."""
        base = sqlite3.connect(self.history)
        base.executescript(
            "CREATE TABLE IF NOT EXISTS trans (id INTEGER PRIMARY KEY, dt_begin INTEGER NOT NULL, dt_end INTEGER,"
            " user_id INTEGER NOT NULL, cmdline TEXT);"
            "CREATE TABLE IF NOT EXISTS trans_item (id INTEGER PRIMARY KEY, trans_id INTEGER, item_id INTEGER);"
            "CREATE TABLE IF NOT EXISTS rpm (item_id INTEGER PRIMARY KEY, name TEXT NOT NULL);"
        )
        row = (began_s, ended_s, user, command)
        run = base.execute("INSERT INTO trans (dt_begin, dt_end, user_id, cmdline) VALUES (?, ?, ?, ?)", row).lastrowid
        for name in names:
            item = base.execute("INSERT INTO rpm (name) VALUES (?)", (name,)).lastrowid
            base.execute("INSERT INTO trans_item (trans_id, item_id) VALUES (?, ?)", (run, item))
        base.commit()
        base.close()
