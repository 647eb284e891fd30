"""The password that a setting refers to: a file, or a credential that systemd passed; never a setting itself."""

import os

from actions.backup.databases.source import DumpFailed
from contracts.errors import Unavailable, Why
from contracts.host import Host

_MAX_BYTES = 64 << 10


def read_password(host: Host, reference: str) -> str:
    """The password behind `file:/path` or `credential:NAME`, without trailing line ends; DumpFailed when there is none."""
    scheme, _, name = reference.partition(":")
    if scheme == "file":
        path = name
    elif scheme == "credential":
        folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
        if not folder:
            advice = f"add LoadCredential={name}:/path to the unit, or write file:/path"
            raise DumpFailed(reference, "systemd passed no credentials to this process", advice=advice)
        path = f"{folder}/{name}"
    else:
        raise DumpFailed("a password", "its reference is neither file: nor credential:", advice="write file:/path")
    try:
        text = host.files.read(path, _MAX_BYTES).decode().rstrip("\r\n")
    except Unavailable as error:
        if error.why is Why.NOT_PRESENT:
            raise DumpFailed(reference, "it is not there", advice="check the path of the password") from error
        raise DumpFailed(reference, error.message, advice=error.advice) from error
    except UnicodeDecodeError as error:
        raise DumpFailed(reference, "it is not text in UTF-8", advice="write the password as text") from error
    if not text or "\n" in text or "\0" in text:
        raise DumpFailed(
            reference, "it holds no password of one line", advice="put the password into it, and nothing else"
        )
    return text
