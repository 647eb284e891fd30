"""The authority in one file, encrypted with a passphrase: JSON with scrypt parameters and AES-256-GCM over the files.

Everything an attacker needs to impersonate any agent or the console is in it, so the passphrase must be a long one.
"""

import base64
import os
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from console.authority import Authority, generations, write_private
from contracts.errors import HoldfastError, UsageError
from contracts.record import Record

FORMAT = "holdfast-console-ca-1"
MIN_PASSPHRASE = 12
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**17, 8, 1
_MAX_N = 2**20


class Backup(Record):
    """What the file holds; bytes in base64. `format` and the parameters are authenticated with the content."""

    format: str
    scrypt_n: int
    scrypt_r: int
    scrypt_p: int
    salt: str
    nonce: str
    sealed: str


def back_up(folder: Path, target: Path, passphrase: str) -> int:
    """Write the authority in `folder` to `target`; return how many generations. Raises `HoldfastError`."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise UsageError(f"the passphrase is shorter than {MIN_PASSPHRASE} characters", advice="use a longer one")
    Authority.load(folder)  # a backup of a broken authority would be found out too late
    files = {entry.name: entry.read_bytes() for entry in sorted(folder.glob("ca-*")) if entry.is_file()}
    salt, nonce = os.urandom(16), os.urandom(12)
    key = _derive(passphrase, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P)
    header = Backup(
        format=FORMAT,
        scrypt_n=SCRYPT_N,
        scrypt_r=SCRYPT_R,
        scrypt_p=SCRYPT_P,
        salt=base64.b64encode(salt).decode(),
        nonce=base64.b64encode(nonce).decode(),
        sealed="",
    )
    sealed = AESGCM(key).encrypt(nonce, msgspec.msgpack.encode(files), msgspec.json.encode(header))
    whole = msgspec.structs.replace(header, sealed=base64.b64encode(sealed).decode())
    try:
        write_private(target, msgspec.json.format(msgspec.json.encode(whole)) + b"\n")
    except OSError as error:
        raise HoldfastError(f"{target} cannot be written: {error.strerror}", advice="choose another place") from error
    return len(generations(folder))


def restore(source: Path, folder: Path, passphrase: str, *, replace: bool = False) -> Authority:
    """Bring the authority in `source` back into `folder`; an authority that is there is kept unless `replace`."""
    if any(folder.glob("ca-*")) and not replace:
        raise HoldfastError(
            f"{folder} already holds a certificate authority",
            advice="add --replace if agents enrolled with it may be shut out",
        )
    files = _open(source, passphrase)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for entry in folder.glob("ca-*"):
            entry.unlink()
        for name in sorted(files, key=lambda name: (name.endswith(".crt"), name)):
            write_private(folder / name, files[name])
    except OSError as error:
        raise HoldfastError(f"{folder} cannot be written: {error.strerror}", advice="check its owner") from error
    return Authority.load(folder)


def _open(source: Path, passphrase: str) -> dict[str, bytes]:
    try:
        backup = msgspec.json.decode(source.read_bytes(), type=Backup)
        salt, nonce, sealed = (base64.b64decode(text) for text in (backup.salt, backup.nonce, backup.sealed))
    except OSError as error:
        raise HoldfastError(f"{source} cannot be read: {error.strerror}", advice="name the backup file") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise HoldfastError(
            f"{source} is not a backup of a console's authority", advice="name the backup file"
        ) from error
    if (
        backup.format != FORMAT
        or not 2**10 <= backup.scrypt_n <= _MAX_N
        or (backup.scrypt_r, backup.scrypt_p) != (8, 1)
    ):
        raise HoldfastError(f"{source} has a format this version does not know: {backup.format}")
    header = msgspec.structs.replace(backup, sealed="")
    try:
        key = _derive(passphrase, salt, backup.scrypt_n, backup.scrypt_r, backup.scrypt_p)
        plain = AESGCM(key).decrypt(nonce, sealed, msgspec.json.encode(header))
    except (InvalidTag, ValueError) as error:
        raise HoldfastError("the passphrase is wrong or the backup is damaged", advice="try again") from error
    files = msgspec.msgpack.decode(plain, type=dict[str, bytes])
    if any("/" in name or not name.startswith("ca-") for name in files):
        raise HoldfastError(f"{source} holds files that are not an authority's")
    return files


def _derive(passphrase: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(passphrase.encode())
