"""One change of one file, as integrity found it: what all that judge, explain, fold or answer it are given."""

import msgspec

from contracts.trees import Node

CREATED, DELETED, RENAMED, TYPE, MODIFIED = "created", "deleted", "renamed", "type", "modified"
MODE, SETUID, OWNER, ATTRIBUTES, CAPABILITIES, TARGET = (
    "mode",
    "setuid",
    "owner",
    "attributes",
    "capabilities",
    "target",
)
TIMESTOMPED, UNKNOWN, KNOWN = "timestomped", "unknown", "known"
"""`unknown`: it could not be looked at now and could before; `known`: the other way round."""

SCAN, REALTIME = "scan", "realtime"


class Author(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who made a change, as the audit log says: empty where it does not, and then `unknown` says why.

    `login` is who logged in (the audit login id, which survives sudo and su), `user` whom the process ran as. Names are in
    `contracts.text.escape` form.
    """

    pid: int = 0
    process: str = ""
    command: str = ""
    user: str = ""
    login: str = ""
    unknown: str = ""


class Change(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What differs at one path.

    `kinds` are the words above, the most telling first. `before` and `after` are the nodes, None where there was or is none; `former` is
    the former path of what was renamed. `found_by` is `scan` or `realtime`, `at_ms` when it was seen (Unix ms), `profile` the name of the
    watched entry of the settings it belongs to. `old` and `new` are the content before and after where the settings keep it (text up to a
    size, never under `no_diff`), None where it is not kept, empty for an empty file. They never travel: what is said of them does.
    """

    path: bytes
    kinds: tuple[str, ...]
    before: Node | None = None
    after: Node | None = None
    former: bytes = b""
    found_by: str = SCAN
    at_ms: int = 0
    profile: str = ""
    author: Author = Author()
    old: bytes | None = None
    new: bytes | None = None
