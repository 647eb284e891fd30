"""Reading the secret that a setting refers to: `file:/path`, or `credential:NAME` from the systemd service's credentials."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from contracts.errors import HoldfastError

MAX_BYTES = 64 << 10


class SecretUnreadable(HoldfastError):
    """A secret cannot be read; the message names the reference and never the content."""

    exit_code = 78


def read_secret(reference: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the secret behind `reference` without trailing line ends; raises `SecretUnreadable`."""
    scheme, _, name = reference.partition(":")
    if scheme == "file":
        path = Path(name)
    elif scheme == "credential":
        folder = environment.get("CREDENTIALS_DIRECTORY", "")
        if not folder:
            advice = f"add LoadCredential={name}:/path to the unit, or write file:/path"
            raise SecretUnreadable(
                f"the credential {name} is not there: systemd passed none to this process", advice=advice
            )
        path = Path(folder) / name
    else:
        raise SecretUnreadable(
            "a secret reference is neither file: nor credential:", advice="write file:/path or credential:NAME"
        )
    try:
        raw = _read(path)
        if raw is None:
            raise SecretUnreadable(f"{reference} is not a file", advice="put the secret into a file")
        if len(raw) > MAX_BYTES:
            raise SecretUnreadable(
                f"{reference} is larger than {MAX_BYTES} bytes", advice="name the file that holds only the secret"
            )
        text = raw.decode().rstrip("\r\n")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SecretUnreadable(
            f"{reference} cannot be read: {reason}", advice="check that it exists and who may read it"
        ) from error
    except UnicodeDecodeError as error:
        raise SecretUnreadable(f"{reference} is not text in UTF-8", advice="write the secret as text") from error
    if not text:
        raise SecretUnreadable(f"{reference} is empty", advice="put the secret into it")
    return text


def _read(path: Path) -> bytes | None:
    """Return what the file holds, a little more than allowed at the most; None for a pipe, which may never answer."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
        return stream.read(MAX_BYTES + 1) if stat.S_ISREG(os.fstat(stream.fileno()).st_mode) else None
