"""Quarantine: moves a malicious file out of reach, shows what is there, brings it back, deletes it for good."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from actions.antivirus.kinds import DELETED, QUARANTINED, RESTORED
from actions.antivirus.options import AntivirusOptions
from actions.antivirus.vault import Kept, NotMoved, Vault
from contracts.action import Command, Progress, Result
from contracts.errors import Unavailable, UsageError
from contracts.event import Kind
from contracts.host import Host
from contracts.text import escape, unescape

STEPS = ("add", "list", "restore", "delete")
_SHOWN = 2000
_BLANK = Kept(entry="", path="", vault="", mode=0, uid=0, gid=0, size=0, mtime_ns=0, device=0, inode=0, links=0)


class Quarantine:
    """By a rule on `antivirus.malware_found`, or for a person."""

    name: ClassVar[str] = "quarantine"
    kinds: ClassVar[tuple[Kind, ...]] = (QUARANTINED, RESTORED, DELETED)
    options: ClassVar[type[AntivirusOptions]] = AntivirusOptions
    arguments: ClassVar[Mapping[str, str]] = {
        "step": "str", "path": "str", "signature": "str", "entry": "str", "to": "str", "owned": "bool",
    }  # fmt: skip
    """`step` is one of `STEPS`, `add` when it is not given. Paths in `contracts.text.escape` form. `owned`: a package's file, too."""
    capabilities: ClassVar[tuple[str, ...]] = ("CAP_DAC_OVERRIDE", "CAP_FOWNER")

    def __init__(self, options: AntivirusOptions) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002
        """Do the step; NotMoved and UsageError say why not."""
        step = str(command.arguments.get("step", "") or "add")
        if step not in STEPS:
            raise UsageError(f'there is no step "{step}"', advice=f"name one of {', '.join(STEPS)}")
        if not host.state:
            raise UsageError("this worker has no folder of its own", advice="start it as a service or by the agent")
        vault = Vault(host)
        if step == "list":
            return _list(vault)
        if step == "add":
            return self._add(host, vault, command)
        kept = vault.find(str(command.arguments.get("entry", "")))
        return self._restore(vault, kept, command) if step == "restore" else self._delete(vault, kept, command)

    def _add(self, host: Host, vault: Vault, command: Command) -> Result:
        event = command.event
        fields: Mapping[str, Any] = event.fields if event is not None else {}
        by_itself = bool(command.cause)
        if event is not None and event.drill:
            return Result()  # the test file of a proof: who wrote it takes it away
        if by_itself and not self._options.quarantine.enabled:
            raise UsageError(
                "quarantine is switched off", advice="set antivirus.quarantine.enabled, or have a person do it"
            )
        path = _path(str(command.arguments.get("path", "") or fields.get("path", "")))
        signature = str(command.arguments.get("signature", "") or fields.get("signature", ""))
        package = _package(host, path)
        may = bool(command.arguments.get("owned")) or (by_itself and self._options.quarantine.owned)
        if package and not may:
            raise NotMoved(
                f"{escape(path)} belongs to the package {package}", advice="reinstall the package, or say --owned"
            )
        if command.dry_run:
            return Result(summary=f"would move {escape(path)} to quarantine")
        known = (fields.get("device"), fields.get("inode"))
        expected = known if isinstance(known[0], int) and isinstance(known[1], int) else None
        note = _noted(_BLANK, signature, package, command, host)
        kept = vault.take(path, expected, _with_digest(note, fields))  # type: ignore[arg-type]  # both are numbers
        return _told(kept)

    def _restore(self, vault: Vault, kept: Kept, command: Command) -> Result:
        to = _path(str(command.arguments.get("to", "") or kept.path))
        if command.dry_run:
            return Result(summary=f"would bring {kept.path} back to {escape(to)}")
        vault.restore(kept, to)
        where = "" if escape(to) == kept.path else f", to {escape(to)}"
        lent = ", without its setuid and setgid bits" if kept.mode & 0o6000 else ""
        result = _result(RESTORED, kept, command.who, f"{where}{lent}", f"{kept.path} is back{where}{lent}")
        file = {"path": escape(to), "mode": kept.mode, "device": kept.device, "inode": kept.inode}
        return msgspec.structs.replace(result, answer={**result.answer, **file})

    def _delete(self, vault: Vault, kept: Kept, command: Command) -> Result:
        if command.dry_run:
            return Result(summary=f"would delete {kept.path} for good")
        vault.delete(kept)
        return _result(DELETED, kept, command.who, "", f"{kept.path} is deleted")


def _path(text: str) -> bytes:
    try:
        path = unescape(text)
    except ValueError as error:
        raise UsageError(f"a path is not as Holdfast writes them: {error}", advice="name it as it was shown") from error
    if not path.startswith(b"/") or path.endswith(b"/"):
        raise UsageError(f'"{text}" is no absolute path of a file', advice="begin it with /")
    return path


def _package(host: Host, path: bytes) -> str:
    """The package that owns the file; "" for none, and on a host without a package database."""
    try:
        return host.packages.owner(escape(path))
    except Unavailable as error:
        if error.why.value in ("not_present", "tool_missing"):
            return ""
        raise


def _noted(blank: Kept, signature: str, package: str, command: Command, host: Host) -> Kept:
    at_ms = round(host.now().timestamp() * 1000)
    return replace(blank, signature=signature[:300], package=package, who=command.who or "a rule", at_ms=at_ms)


def _with_digest(note: Kept, fields: Mapping[str, Any]) -> Kept:
    return replace(note, sha256=str(fields.get("sha256", "") or ""))


def _told(kept: Kept) -> Result:
    detail = f"; {kept.links - 1} more names of it exist elsewhere, all closed now" if kept.links > 1 else ""
    if kept.package:
        detail += f"; it belongs to the package {kept.package}"
    summary = f"{kept.path} is in quarantine as {kept.entry}{detail}"
    return _result(QUARANTINED, kept, kept.who, detail, summary)


def _result(kind: Kind, kept: Kept, who: str, detail: str, summary: str) -> Result:
    event = kind.event(
        kept.path,
        path=kept.path[:4096],
        entry=kept.entry,
        signature=kept.signature or "no signature named",
        package=kept.package or None,
        who=who or None,
        detail=detail,
    )
    return Result(summary=summary[:2000], events=(event,), answer={"entry": kept.entry, "code": 0})


def _list(vault: Vault) -> Result:
    kept = vault.kept()
    return Result(
        summary=f"{len(kept)} files in quarantine",
        answer={
            "entries": [msgspec.json.encode(each).decode() for each in kept[:_SHOWN]],
            "total": len(kept),
            "unreadable": vault.unreadable(),
            "code": 0,
        },
    )
