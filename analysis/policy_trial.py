"""Judges what became of a policy on trial: the kernel ends it by itself and tells nobody, so that its end must be noticed."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from analysis.firewall.policy import TABLE, TRIAL
from contracts.collector import Report
from contracts.event import Event, Kind, Severity
from contracts.judge import View
from contracts.record import Record
from contracts.snapshot import Snapshot, compare
from contracts.subjects import datapath

RAN_OUT = Kind(
    name="firewall.policy_trial_over",
    meaning="Nobody confirmed the policy that was on trial in time, and what was in force before is back.",
    title="Firewall policy {digest} was not confirmed; its trial is over",
    severity=Severity.MEDIUM,
    fields={"digest": "str"},
    advice="Apply it again with `holdfast firewall policy apply`, and confirm it from a new session.",
    ocsf_class=5019,
)

_COMMENT = f"{TRIAL} "


class Trial(Record, omit_defaults=True):
    """The policy that was last seen on trial; `over` once its end was stated."""

    digest: str
    over: bool = False


class PolicyTrial:
    """The end of trials, each stated once."""

    name: ClassVar[str] = "policy_trial"
    kinds: ClassVar[tuple[Kind, ...]] = (RAN_OUT,)
    subjects: ClassVar[Mapping[str, type[Record]]] = {datapath.SUBJECT: datapath.Row}
    row: type[Trial] = Trial
    every_s: ClassVar[float] = 0.0

    def judge(self, view: View, before: Snapshot[Trial]) -> Report[Trial]:
        """Conclude; a trial that was confirmed or taken back is simply no more."""
        rows: Mapping[str, datapath.Row] = view.snapshots[datapath.SUBJECT].rows
        digest = _digest(rows)
        if not digest:
            return Report(changes=compare(before.rows, {}))
        former = before.rows.get(TRIAL)
        over = not _lives(rows)
        events: tuple[Event, ...] = ()
        if over and not (former is not None and former.digest == digest and former.over):
            events = (RAN_OUT.event(digest, digest=digest),)
        return Report(events=events, changes=compare(before.rows, {TRIAL: Trial(digest=digest, over=over)}))


def _digest(rows: Mapping[str, datapath.Row]) -> str:
    """Return the digest of the policy that the kernel holds for a trial, "" when there is none."""
    for key, row in rows.items():
        if key.startswith(f"rule {TABLE} input "):
            comment = str(_document(row).get("comment", ""))
            if comment.startswith(_COMMENT):
                return comment.removeprefix(_COMMENT)
    return ""


def _lives(rows: Mapping[str, datapath.Row]) -> bool:
    """Say whether the kernel still sends packets to the trial."""
    row = rows.get(f"set {TABLE} {TRIAL}")
    return row is not None and bool(_document(row).get("elem"))


def _document(row: datapath.Row) -> dict[str, Any]:
    """Return the object that nft wrote, without the word around it."""
    found = msgspec.json.decode(row.document or "{}")
    return found if isinstance(found, dict) else {}
