"""What a person or the console asks of the watch: scan now, show what waits, accept it, prove that files are what they were.

They work on the collector's own book and change nothing else, so they live beside it (decision 9).
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from collectors.integrity import kinds
from collectors.integrity.packages.kinds import KEY_ACCEPTED
from contracts.action import Command, Progress, Result
from contracts.errors import HoldfastError, Unavailable, UsageError, Why
from contracts.event import Kind
from contracts.host import Host
from contracts.options import ActionOptions
from contracts.text import escape, unescape

if TYPE_CHECKING:
    from collectors.integrity.book import Book

HOUR = 3600.0
MOST_JOINED = 20_000
"""More that waits than this is shown without joining renames."""
MOST_SHOWN = 1000
MOST_PROOFS = 64
LISTED = 1000


class _Deed:
    """What they have in common: no settings of their own, and the book."""

    options: ClassVar[type[ActionOptions]] = ActionOptions

    def __init__(self, options: ActionOptions) -> None:
        self._options = options


class Scan(_Deed):
    """Looks at everything that is watched, or at one path of it, now and without giving way."""

    name: ClassVar[str] = "integrity_scan"
    kinds: ClassVar[tuple[Kind, ...]] = ()
    arguments: ClassVar[Mapping[str, str]] = {"path": "str", "read_again": "bool"}
    deadline_s: ClassVar[float] = 12 * HOUR

    def do(self, host: Host, command: Command, progress: Progress) -> Result:
        """Have the watch at work scan, and wait for it; what differs is told as ever."""
        from collectors.integrity.requests import Request, requests

        path = _path(command.arguments.get("path"))
        if command.dry_run:
            return Result(summary=f"would scan {escape(path) if path else 'everything that is watched'}")
        request = Request(command.id, path, bool(command.arguments.get("read_again")))
        requests(_place(host)).put(request)
        while not request.wait(1.0):
            folders, files = request.so_far
            progress(files, 0, "names", f"{folders} folders")
        done = request.done
        return Result(
            summary=f"{done['files']} names in {done['folders']} folders, {done['changes']} changes", answer=done
        )


class Diff(_Deed):
    """Shows how watched files differ from what was accepted of them."""

    name: ClassVar[str] = "integrity_diff"
    kinds: ClassVar[tuple[Kind, ...]] = ()
    arguments: ClassVar[Mapping[str, str]] = {"path": "str", "after": "int", "limit": "int"}
    deadline_s: ClassVar[float] = 300.0

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002
        """Return what waits at or below a path, from the `after`-th on, as JSON texts."""
        import msgspec

        from analysis.integrity.net import joined
        from collectors.integrity.book import Book
        from contracts.open_change import Open

        decode = msgspec.msgpack.Decoder(Open).decode
        path = _path(command.arguments.get("path")) or b"/"
        after = _count(command.arguments.get("after"), 0)
        limit = min(_count(command.arguments.get("limit"), MOST_SHOWN) or MOST_SHOWN, MOST_SHOWN)
        book = Book(_place(host))
        try:
            waiting = [(raw, decode(body)) for raw, body in book.all_opened(path, limit=MOST_JOINED + 1)]
            total = book.count_opened()
        finally:
            book.close()
        is_cut = len(waiting) > MOST_JOINED
        changes = joined(waiting)
        shown = [json.dumps(_shown(change)) for change in changes[after : after + limit]]
        return Result(
            summary=f"{len(changes)} changes wait to be accepted",
            answer={
                "changes": shown,
                "waiting": total,
                "more": is_cut or after + limit < len(changes),
                "next": after + len(shown),
            },
        )


class Accept(_Deed):
    """Accepts what differs as it is, or a key that signs packages; who and why go into the event chain."""

    name: ClassVar[str] = "integrity_accept"
    kinds: ClassVar[tuple[Kind, ...]] = (kinds.ACCEPTED, KEY_ACCEPTED)
    arguments: ClassVar[Mapping[str, str]] = {"path": "str", "key": "str", "reason": "str"}
    deadline_s: ClassVar[float] = 300.0

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002
        """Accept all that waits at or below a path, or the key with a fingerprint."""
        from collectors.integrity.book import Book

        reason = str(command.arguments.get("reason") or "").strip()
        if not reason:
            raise UsageError("why is not said", advice="say it: --why TEXT")
        if command.arguments.get("key"):
            if command.arguments.get("path"):
                raise UsageError("both a path and a key are given", advice="give one of them")
            return _accept_key(host, command, reason)
        path = _path(command.arguments.get("path")) or b"/"
        book = Book(_place(host))
        try:
            listed = [escape(raw) for raw, _ in book.all_opened(path, limit=LISTED)]
            if command.dry_run:
                return Result(summary=f"would accept {len(listed)} changes", answer={"count": len(listed)})
            count = book.accept(path)
            book.commit()
        finally:
            book.close()
        if not count:
            return Result(summary="nothing waits to be accepted there", answer={"count": 0})
        accepted = kinds.ACCEPTED.event(
            escape(path)[:1000],
            who=command.who or "the console",
            reason=reason[:2000],
            count=count,
            path=escape(path),
            changes=listed,
        )
        return Result(summary=f"{count} changes accepted", answer={"count": count}, events=(accepted,))


class Prove(_Deed):
    """Answers the console's challenge: reads files as they are and mixes a nonce into their digests."""

    name: ClassVar[str] = "integrity_prove"
    kinds: ClassVar[tuple[Kind, ...]] = ()
    arguments: ClassVar[Mapping[str, str]] = {"paths": "list", "nonce": "str", "count": "int"}
    deadline_s: ClassVar[float] = 600.0

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002
        """Return paths, and for each SHA-256 over nonce and content in hex; without paths, of some that are picked by the nonce."""
        from collectors.integrity.book import Book
        from collectors.integrity.picking import pick
        from contracts.wire import NO_PROOF

        try:
            nonce = bytes.fromhex(str(command.arguments.get("nonce") or ""))
        except ValueError as error:
            raise UsageError("the nonce is not hex") from error
        if len(nonce) < 16:
            raise UsageError("the nonce is shorter than 16 bytes")
        given = command.arguments.get("paths") or []
        book = Book(_place(host))
        try:
            paths = [_path(path) for path in given] if isinstance(given, list) else []
            if not paths:
                paths = pick(book, nonce, min(_count(command.arguments.get("count"), 8), MOST_PROOFS))
            watched = [path for path in paths[:MOST_PROOFS] if _is_watched(book, path)]
        finally:
            book.close()
        proofs = {path: host.trees.proof(path, nonce) if path in watched else None for path in paths[:MOST_PROOFS]}
        answers = [proof.hex() if proof is not None else NO_PROOF for proof in proofs.values()]
        return Result(
            summary=f"{len(watched)} files proved",
            answer={"paths": [escape(path) for path in proofs], "proofs": answers, "nonce": nonce.hex()},
        )


def _accept_key(host: Host, command: Command, reason: str) -> Result:
    """Trust a key that signs apt's lists now, or lies in a key file of rpm's; another one would be a slip of the pen, and is refused."""
    from collectors.integrity.packages.desks import desk_of

    key = "".join(str(command.arguments["key"]).split()).upper().removeprefix("0X")
    if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", key):
        raise UsageError("that is not a fingerprint", advice="give all 40 hex digits of it, as the event names them")
    desk = desk_of(host, _place(host).parent / "packages")
    try:
        signers = desk.signers()
        if key not in signers:
            raise UsageError(
                f"no list of apt's is signed by {key}, and no key file of rpm's holds it",
                advice=f"these are known: {', '.join(signers)}",
            )
        if signers[key]:
            return Result(summary=f"the key {key} is trusted already", answer={"count": 0})
        if command.dry_run:
            return Result(summary=f"would trust the key {key}", answer={"count": 1})
        who = command.who or "the console"
        desk.trust([key], who)
    finally:
        desk.close()
    accepted = KEY_ACCEPTED.event(key, who=who, reason=reason[:2000])
    return Result(summary=f"the key {key} is trusted", answer={"count": 1}, events=(accepted,))


def _is_watched(book: "Book", path: bytes) -> bool:
    """Say whether the book holds this name: nothing else is read for anybody."""
    folder, _, name = path.rpartition(b"/")
    return any(node.name == name for node in book.known(folder or b"/"))


def _place(host: Host) -> Path:
    from collectors.integrity.book import FILE

    if not host.state or not (Path(host.state) / FILE).exists():
        raise Unavailable(
            Why.OTHER, "there is no baseline yet", advice="Wait for the first scan: `holdfast integrity show`."
        )
    return Path(host.state) / FILE


def _path(value: Any) -> bytes:
    """Return a path as it was written (`contracts.text.escape`), b"" for none."""
    if not value:
        return b""
    try:
        path = unescape(str(value))
    except ValueError as error:
        raise UsageError(f"{value} is not a path: {error}") from error
    if not path.startswith(b"/") or b"\0" in path:
        raise UsageError(f"{value} is not a path from the root")
    return path.rstrip(b"/") or b"/"


def _count(value: Any, default: int) -> int:
    if value is None:
        return default
    if not isinstance(value, int) or value < 0:
        raise HoldfastError(f"{value!r} is not a number of that kind")
    return value


def _shown(change: Any) -> dict[str, Any]:
    from analysis.integrity.wording import before_and_after

    before, after = before_and_after(change)
    author = change.author
    return {
        "path": escape(change.path),
        "former": escape(change.former),
        "words": list(change.kinds),
        "before": before,
        "after": after,
        "profile": change.profile,
        "found_by": change.found_by,
        "at_ms": change.at_ms,
        "process": author.process,
        "command": author.command,
        "user": author.user,
        "login": author.login,
        "author_unknown": author.unknown,
    }
