"""What file integrity states."""

from collections.abc import Mapping

from contracts.event import FieldType, Kind, Lane, Severity

_FIELDS: Mapping[str, FieldType] = {
    "path": "str",
    "former": "str",
    "profile": "str",
    "words": "list",
    "before": "list",
    "after": "list",
    "found_by": "str",
    "process": "str",
    "command": "str",
    "user": "str",
    "login": "str",
    "author_unknown": "str",
    "package": "str",
    "accounted": "str",
    "contradicts": "bool",
    "meaning": "list",
    "techniques": "list",
    "maintenance": "str",
}
_ADVICE = (
    "Find out who did it; `holdfast integrity diff PATH` shows it, `holdfast integrity accept PATH --why …` accepts it."
)


def _kind(name: str, meaning: str, title: str, severity: Severity, *attack: str) -> Kind:
    return Kind(
        name=f"integrity.{name}",
        meaning=meaning,
        title=title,
        severity=severity,
        fields=_FIELDS,
        attack=attack,
        advice=_ADVICE,
    )


CREATED = _kind("created", "A watched folder has a new name in it.", "New: {path}", Severity.LOW)
MODIFIED = _kind("modified", "The content of a watched file changed.", "Changed: {path}", Severity.MEDIUM)
DELETED = _kind("deleted", "A watched name is gone.", "Gone: {path}", Severity.MEDIUM, "T1070.004")
RENAMED = _kind("renamed", "A watched file or folder has another name.", "Renamed: {former} to {path}", Severity.LOW)
PERMISSIONS = _kind(
    "permissions_changed",
    "The permissions of a watched name changed.",
    "Permissions: {path}",
    Severity.MEDIUM,
    "T1222.002",
)
OWNER = _kind(
    "owner_changed", "A watched name has another owner or group.", "Owner: {path}", Severity.MEDIUM, "T1222.002"
)
SETUID = _kind(
    "setuid_changed",
    "A watched file gained or lost the set-user-id or set-group-id bit, or came with it.",
    "setuid or setgid: {path}",
    Severity.HIGH,
    "T1548.001",
)
CAPABILITIES = _kind(
    "capabilities_changed",
    "A watched file has other file capabilities, or came with some.",
    "File capabilities: {path}",
    Severity.HIGH,
    "T1548",
)
ATTRIBUTES = _kind(
    "attributes_changed",
    "The extended attributes of a watched name changed.",
    "Extended attributes: {path}",
    Severity.LOW,
)
TARGET = _kind("link_changed", "A watched symbolic link points elsewhere.", "Link: {path}", Severity.MEDIUM)
TYPE = _kind("type_changed", "A watched name is another type of file now.", "Type: {path}", Severity.MEDIUM)
TIMESTOMPED = _kind(
    "timestomped",
    "The content of a watched file changed, and its time says that it did not.",
    "Changed with its time set back: {path}",
    Severity.HIGH,
    "T1070.006",
)
UNKNOWN = _kind(
    "became_unknown",
    "A watched file can no longer be looked at.",
    "Cannot be looked at any more: {path}",
    Severity.MEDIUM,
)
KNOWN = _kind(
    "became_known", "A watched file can be looked at again.", "Can be looked at again: {path}", Severity.INFORMATIONAL
)

MANY = Kind(
    name="integrity.many_changed",
    meaning="Many watched files changed at once; the event lists them all.",
    title="{count} changes below {folder}",
    severity=Severity.MEDIUM,
    fields={"folder": "str", "profile": "str", "count": "int", "changes": "list", "part": "int", "found_by": "str"},
    advice=_ADVICE,
)
BASELINE_MADE = Kind(
    name="integrity.baseline_made",
    meaning="The baseline of a watched path was made; from now on what differs from it is told.",
    title="Baseline made of {key}: {files} names",
    severity=Severity.INFORMATIONAL,
    fields={"profile": "str", "folders": "int", "files": "int", "found_by": "str"},
    ocsf_class=5019,
)
SEALED = Kind(
    name="integrity.sealed",
    meaning="The digest over the whole baseline, so that the baseline cannot be rewritten unseen.",
    title="Baseline {root} after {position} writings",
    severity=Severity.INFORMATIONAL,
    fields={"root": "str", "position": "int", "folders": "int"},
    lane=Lane.BULK,
    ocsf_class=5019,
)
UNTRUSTED = Kind(
    name="integrity.baseline_untrusted",
    meaning="The baseline on this host is not the one that was last stated; what it says of the past proves nothing.",
    title="The baseline cannot be trusted: {detail}",
    severity=Severity.CRITICAL,
    fields={"detail": "str", "root": "str"},
    attack=("T1070",),
    advice="Look at this host; compare it with a backup or another host, then make a new baseline.",
)
QUEUE_OVERFLOWED = Kind(
    name="integrity.queue_overflowed",
    meaning="The kernel dropped notices of file changes; everything that is watched is looked at again.",
    title="The kernel dropped notices of file changes",
    severity=Severity.LOW,
    fields={"watches": "int"},
    advice="Raise fs.inotify.max_queued_events (sysctl) if this comes often.",
    ocsf_class=6008,
)
WATCH_LIMIT = Kind(
    name="integrity.watch_limit",
    meaning="The kernel gives no more inotify watches: changes in the other folders are found by the scan only.",
    title="Only {watches} folders can be watched (limit {limit})",
    severity=Severity.MEDIUM,
    fields={"watches": "int", "limit": "int"},
    advice="Raise fs.inotify.max_user_watches (sysctl), or watch less.",
    ocsf_class=6008,
)
ACCEPTED = Kind(
    name="integrity.accepted",
    meaning="A person accepted changes as they are.",
    title="{who} accepted {count} changes below {path}: {reason}",
    severity=Severity.INFORMATIONAL,
    fields={"who": "str", "reason": "str", "count": "int", "path": "str", "changes": "list"},
    ocsf_class=5019,
)

_OF_WEB: Mapping[str, FieldType] = {
    "language": "str",
    "reasons": "list",
    "yara": "list",
    "weight": "int",
    "words": "list",
    "sha256": "str",
    "uid": "int",
    "process": "str",
    "user": "str",
    "login": "str",
    "found_by": "str",
}
WEBSHELL_FOUND = Kind(
    name="integrity.webshell_found",
    meaning="A file came or changed in a web root that runs what visitors send, or fits a rule for web shells.",
    title="Web shell: {key}",
    severity=Severity.CRITICAL,
    fields=_OF_WEB,
    attack=("T1505.003",),
    advice="Take the file out of the web root (`holdfast antivirus quarantine`), and look at who wrote it and what else it did.",
)
WEBSHELL_SUSPECTED = Kind(
    name="integrity.webshell_suspected",
    meaning="A file came or changed in a web root that has some signs of a web shell.",
    title="Suspicious file in a web root: {key}",
    severity=Severity.MEDIUM,
    fields=_OF_WEB,
    attack=("T1505.003",),
    advice="Look at the file; if it is meant to be there, accept the change.",
)
WEBSHELLS = (WEBSHELL_FOUND, WEBSHELL_SUSPECTED)

OF_CHANGES = (
    SETUID,
    CAPABILITIES,
    TIMESTOMPED,
    TYPE,
    CREATED,
    DELETED,
    MODIFIED,
    RENAMED,
    TARGET,
    OWNER,
    PERMISSIONS,
    ATTRIBUTES,
    UNKNOWN,
    KNOWN,
)
"""Kinds of single changes, the most telling first."""
WATCHED = (QUEUE_OVERFLOWED, WATCH_LIMIT)
COLLECTED = (*OF_CHANGES, MANY, BASELINE_MADE, SEALED, UNTRUSTED)
"""What is told out of the journal."""
