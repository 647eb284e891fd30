"""What the netfilter worker keeps of the policy in its own folder: the confirmed one, the one on trial, the last good ruleset, the pause.

Each file is replaced atomically and holds one JSON document. A file that is not there means there is none; one that does not decode is an
error, never "none": falling back to nothing would open the host.
"""

from typing import TypeVar

import msgspec

from contracts.codec import UNDECODABLE
from contracts.errors import HoldfastError, Unavailable, Why
from contracts.host import Host
from contracts.policy import Policy, digest
from contracts.record import Record

POLICY, TRIAL, GOOD = "policy.json", "trial.json", "good.json"
PAUSE, HISTORY = "guard-pause.json", "guard-history.json"
_MAX_BYTES = 64 << 20


class History(Record):
    """When the guard restored (Unix ms), the latest ones."""

    restored_ms: tuple[int, ...] = ()


T = TypeVar("T", bound=Record)


class NoFolder(HoldfastError):
    """The worker has nowhere to keep what must survive it."""


class Damaged(HoldfastError):
    """A file in the worker's folder does not hold what it should."""


class Saved(Record):
    """A policy, who put it there and when (Unix ms); `policy` None says that somebody removed it."""

    policy: Policy | None
    who: str
    at_ms: int


class Good(Record):
    """The ruleset as it was accepted: each table as nft prints it, by `FAMILY NAME`; tables of iptables as `*-save` does, by `TOOL TABLE`.

    `unsaved` says which tables could not be saved, and why.
    """

    who: str
    at_ms: int
    tables: dict[str, str] = {}
    iptables: dict[str, str] = {}
    unsaved: dict[str, str] = {}


class Pause(Record):
    """The guard rests until then (Unix ms), because `who` said so."""

    until_ms: int
    who: str


def read(host: Host, name: str, kind: type[T]) -> T | None:
    """Return what the file holds, None when it was never written; raises `NoFolder`, `Damaged`, `Unavailable`."""
    path = _path(host, name)
    try:
        raw = host.files.read(path, _MAX_BYTES)
    except Unavailable as error:
        if error.why is Why.NOT_PRESENT:
            return None
        raise
    return decode(raw, name, kind)


def decode(raw: bytes, name: str, kind: type[T]) -> T:
    """Return what `raw`, the content of the file `name`, holds; raises `Damaged`."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except UNDECODABLE as error:
        advice = "restore it from a backup, or remove it and apply the policy anew"
        raise Damaged(f"{name} is damaged: {error}", advice=advice) from error


def write(host: Host, name: str, content: Record) -> None:
    """Replace the file; raises `NoFolder`, `Unavailable`."""
    host.write(_path(host, name), msgspec.json.encode(content))


def confirmed(host: Host, digest_held: str = "") -> Policy | None:
    """Return the policy in force without any trial.

    Where the kernel holds another one (`digest_held`), the worker ended between confirming and writing: then it is the one on trial,
    unless somebody removed the policy since. Raises `Damaged` when it is neither.
    """
    saved = read(host, POLICY, Saved)
    policy = None if saved is None else saved.policy
    if not digest_held or (policy is not None and digest(policy) == digest_held):
        return policy
    trial = read(host, TRIAL, Saved)
    is_removed = saved is not None and policy is None and (trial is None or trial.at_ms < saved.at_ms)
    if not is_removed and trial is not None and trial.policy is not None and digest(trial.policy) == digest_held:
        write(host, POLICY, trial)
        return trial.policy
    advice = "look at `nft list table inet holdfast`, then remove it with `holdfast firewall policy revert --all`"
    raise Damaged(f"the kernel holds the policy {digest_held}, which was not confirmed here", advice=advice)


def now_ms(host: Host) -> int:
    """Return the wall time in Unix ms."""
    return round(host.now().timestamp() * 1000)


def _path(host: Host, name: str) -> str:
    if not host.state:
        advice = "run the agent under systemd, or give its workers a folder with --state-dir"
        raise NoFolder("the firewall worker has no folder of its own, so nothing would survive it", advice=advice)
    return f"{host.state}/{name}"
