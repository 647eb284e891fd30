"""A small signed repository with a key of its own, laid out as apt's lists and dpkg's state lie, below a folder."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from collectors.integrity.packages import desk, dpkg_state, indices, signatures


class Made:
    """Archives and lists that are signed; `place` moves every fixed path of the package desk below the folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.home = folder / "gnupg"
        for name in ("gnupg", "lists", "apt/sources.list.d", "apt/trusted.gpg.d", "archives", "dpkg/info"):
            (folder / name).mkdir(parents=True)
        self.home.chmod(0o700)
        self.gpg("--quick-gen-key", "Test <t@example.org>", "rsa2048", "sign", "0")
        self.ring = folder / "apt/trusted.gpg.d/test.gpg"
        self.ring.write_bytes(self.gpg("--export"))
        (folder / "apt/sources.list").write_text("deb http://deb.example.org/debian stable main\n")
        (folder / "dpkg/status").write_text("")
        monkeypatch.setattr(signatures, "APT", str(folder / "apt"))
        monkeypatch.setattr(signatures, "LISTS", str(folder / "lists"))
        monkeypatch.setattr(indices, "LISTS", str(folder / "lists"))
        monkeypatch.setattr(dpkg_state, "DPKG", str(folder / "dpkg"))
        monkeypatch.setattr(dpkg_state, "LOGS", (str(folder / "history.log"), str(folder / "dpkg.log")))
        monkeypatch.setattr(dpkg_state, "LOCKS", (str(folder / "dpkg/lock"),))
        monkeypatch.setattr(desk, "ARCHIVES", str(folder / "archives"))
        monkeypatch.setattr(desk, "LISTS", str(folder / "lists"))
        self.packages = ""
        self.signer: list[str] = []

    def gpg(self, *words: str, text: bytes = b"") -> bytes:
        base = ["gpg", "--homedir", str(self.home), "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
        return subprocess.run([*base, *words], input=text, capture_output=True, check=True).stdout

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "gpg-agent"], check=False)

    def archive(self, version: str = "1.0", files: dict[str, bytes] | None = None, compression: str = "xz") -> Path:
        """Build an archive of the package hf-tool and add it to the index."""
        tree = self.folder / f"tree-{version}-{compression}"
        (tree / "DEBIAN").mkdir(parents=True)
        control = (
            f"Package: hf-tool\nVersion: {version}\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: t\n"
        )
        (tree / "DEBIAN/control").write_text(control)
        (tree / "DEBIAN/postinst").write_text("#!/bin/sh\n# /var/lib/hf/made\n")
        (tree / "DEBIAN/postinst").chmod(0o755)
        for name, content in (files or {"usr/bin/hf-tool": b"one\n"}).items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(content)
        target = self.folder / f"archives/hf-tool_{version}_all.deb"
        subprocess.run(
            ["dpkg-deb", f"-Z{compression}", "--root-owner-group", "-b", str(tree), str(target)],
            check=True,
            capture_output=True,
        )
        content = target.read_bytes()
        extra = f"Filename: pool/{target.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n\n"
        self.packages += control + extra
        return target

    def sign(self, packages: str | None = None, detached: bool = False) -> None:
        """Lay the index and a signed Release into apt's lists."""
        text = (packages if packages is not None else self.packages).encode()
        prefix = self.folder / "lists/deb.example.org_debian_dists_stable_"
        Path(f"{prefix}main_binary-amd64_Packages").write_bytes(text)
        line = f" {hashlib.sha256(text).hexdigest()} {len(text)} main/binary-amd64/Packages\n"
        release = f"Origin: test\nSHA256:\n{line}".encode()
        if detached:
            Path(f"{prefix}Release").write_bytes(release)
            Path(f"{prefix}Release.gpg").write_bytes(self.gpg(*self.signer, "--detach-sign", "-o", "-", text=release))
        else:
            Path(f"{prefix}InRelease").write_bytes(self.gpg(*self.signer, "--clearsign", "-o", "-", text=release))

    def another_key(self) -> str:
        """Have apt trust a second key, and sign with it from now on; returns its fingerprint."""
        self.gpg("--quick-gen-key", "Other <o@example.org>", "rsa2048", "sign", "0")
        self.ring.write_bytes(self.gpg("--export"))
        lines = self.gpg("--list-keys", "--with-colons", "o@example.org").decode().splitlines()
        key = next(line.split(":")[9] for line in lines if line.startswith("fpr:"))
        self.signer = ["--local-user", key]
        return key

    def installed(self, version: str, state: str = "installed") -> None:
        """Have dpkg's state say that the package is installed."""
        (self.folder / "dpkg/status").write_text(
            f"Package: hf-tool\nStatus: install ok {state}\nArchitecture: all\nVersion: {version}\n\n"
            if version
            else ""
        )
        (self.folder / "dpkg/info/hf-tool.list").write_text("/.\n/usr\n/usr/bin\n/usr/bin/hf-tool\n")
        digest = hashlib.md5(b"one\n").hexdigest()
        (self.folder / "dpkg/info/hf-tool.md5sums").write_text(f"{digest}  usr/bin/hf-tool\n")
