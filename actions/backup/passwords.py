"""Passwords of repositories: read from where the settings say they are kept, and made for new ones."""

import os
import secrets

from contracts.errors import Unavailable, UsageError, Why
from contracts.host import Files

MAX_BYTES = 4096
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Letters and digits that nobody mistakes for others when he copies them from paper."""

_GROUPS, _GROUP = 8, 5


def read_password(files: Files, reference: str) -> str:
    """The password behind `file:/path` or `credential:NAME`: the file without the end of its line, as restic reads it. Unavailable."""
    path = path_of(reference)
    try:
        text = files.read(path, MAX_BYTES).decode()
    except Unavailable as error:
        advice = error.advice
        if error.why is Why.NOT_PRESENT:
            advice = "make the repository and its password with `holdfast backup init`, or fetch the file from a copy"
        raise Unavailable(error.why, f"the password of the repository: {error.message}", advice=advice) from error
    except UnicodeDecodeError as error:
        raise Unavailable(Why.MALFORMED, f"{path} does not hold a password: it is not UTF-8") from error
    password = text.rstrip("\r\n")
    if not password:
        raise Unavailable(Why.MALFORMED, f"{path} holds no password: it is empty")
    return password


def path_of(reference: str) -> str:
    """Where the reference leads: a path; Unavailable for a credential that systemd did not pass."""
    scheme, _, rest = reference.partition(":")
    if scheme == "file":
        return rest
    if scheme != "credential":
        raise UsageError(f"{scheme}: is no reference to a password", advice="write file:/path or credential:NAME")
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        advice = f"add LoadCredential={rest}:/path to holdfast-backup.service, or write file:/path"
        raise Unavailable(Why.NOT_PRESENT, f"systemd passed no credential {rest}", advice=advice)
    return f"{folder}/{rest}"


def new_password() -> str:
    """A random password of 197 bits in groups that can be copied by hand."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)
