"""What the command line asks the running agent over the control socket: one request, then answers until `last`.

Frames as in `contracts.frames`. Peers other than root and the group `holdfast` are refused with a `Reply` that says so.
"""

from contracts.record import Record

MAX_REQUEST = 1 << 20
MAX_REPLY = 64 << 20
"""Fifty thousand listeners with their accepted baseline fit."""


class Request(Record):
    """`verb` with its arguments as JSON (`status`, `coverage`, `ledger`, `events`, `subject`, `accept`, `run`, `reload`, `do`)."""

    verb: str
    arguments: bytes = b"{}"


class Reply(Record):
    """`body` is JSON; `error` is empty on success; more replies follow unless `last`."""

    body: bytes = b"null"
    error: str = ""
    advice: str = ""
    exit_code: int = 0
    last: bool = True
