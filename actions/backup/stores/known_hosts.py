"""Pinned host keys: a known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT") says yes or no to the key a server shows.

Nothing is ever learned here: a key that is not in the file is refused, in a sentence with both fingerprints and what to do.
"""

import base64
import binascii
import hashlib
import hmac
from pathlib import Path
from typing import NamedTuple

from actions.backup.stores.store import Denied

MARKERS = {"@revoked", "@cert-authority"}


class HostKeyRefused(Denied):
    """The server does not show a key that is pinned; nobody was authenticated to it and nothing was sent."""


class PinnedKey(NamedTuple):
    """One key of the file, for the host that was asked for."""

    type: str
    blob: bytes
    line: int
    revoked: bool


def fingerprint(blob: bytes) -> str:
    """A key's fingerprint as `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def host_name(host: str, port: int) -> str:
    """The name of a host in the file: with the port where it is not 22."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def pinned_keys(path: str | Path, host: str, port: int) -> list[PinnedKey]:
    """The keys that the file pins for a host. Denied when the file cannot be read or a line of this host cannot be understood."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise Denied(
            f"{path}: {error.strerror or error}",
            advice=f"write the server's key there: ssh-keyscan -t ed25519 -p {port} {host}, compared with what its owner reads out",
        ) from error
    name = host_name(host, port)
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if (key := _key_of(line, number, name, f"{path}:{number}")) is not None:
            found.append(key)
    return found


def check_host_key(keys: list[PinnedKey], type: str, blob: bytes, *, where: str, path: str | Path, host: str) -> None:
    """HostKeyRefused unless the key that the server shows is pinned and not revoked. `host` is its name in the file."""
    shown = f"{type} {fingerprint(blob)}"
    if any(key.blob == blob and key.revoked for key in keys):
        raise HostKeyRefused(
            f"{where}: the server shows {shown}, which {path} marks as revoked", advice="do not connect; ask its owner"
        )
    valid = [key for key in keys if not key.revoked]
    if any(hmac.compare_digest(key.blob, blob) for key in valid):
        return
    line = f"{host} {type} {base64.b64encode(blob).decode()}"
    read_out = "ask its owner to read out `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` there"
    if not valid:
        raise HostKeyRefused(
            f"{where}: the server is unknown: it shows {shown}, {path} pins no key for {host}",
            advice=f"{read_out}, and if it is the same, add this line to {path}: {line}",
        )
    known = ", ".join(f"{key.type} {fingerprint(key.blob)} (line {key.line})" for key in valid)
    raise HostKeyRefused(
        f"{where}: the server's key has changed: it shows {shown}, pinned is {known}: somebody may stand in between",
        advice=f"{read_out}; only if it is the one shown, replace the line in {path} by: {line}",
    )


def _key_of(line: str, number: int, name: str, where: str) -> PinnedKey | None:
    fields = line.split()
    if not fields or fields[0].startswith("#"):
        return None
    marker = fields.pop(0) if fields[0].startswith("@") else ""
    if len(fields) < 3:
        if fields and _matches(fields[0], name):
            raise Denied(f"{where}: not a line of a known_hosts file", advice="write: HOST TYPE KEY")
        return None
    if not _matches(fields[0], name):
        return None
    if marker == "@cert-authority" or (marker and marker not in MARKERS):
        raise Denied(f"{where}: {marker} is not supported", advice="pin the key of the host itself: HOST TYPE KEY")
    try:
        blob = base64.b64decode(fields[2], validate=True)
    except binascii.Error as error:
        raise Denied(f"{where}: the key is not base64: {error}", advice="copy the line again") from error
    return PinnedKey(fields[1], blob, number, marker == "@revoked")


def _matches(patterns: str, name: str) -> bool:
    """Whether one of the names before the key is `name`: plain or hashed. Wildcards pin nothing and match nothing here."""
    if patterns.startswith("|1|"):
        try:
            salt, digest = (base64.b64decode(part, validate=True) for part in patterns[3:].split("|", 1))
        except (ValueError, binascii.Error):
            return False
        return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest)
    return name in patterns.lower().split(",")
