"""Events as OCSF JSON, for every tool that is not ours. See https://schema.ocsf.io/ for the classes and attributes named here.

Four classes are written: detection finding (2004), device config state change (5019), application lifecycle (6002) and application error
(6008). A kind that declares another class becomes a detection finding, because the others require actors and endpoints that an agent which
looks at state does not know. What OCSF has no place for stands under `unmapped.holdfast`.
"""

from typing import Any

from contracts.event import ATTACK_VERSION, Envelope, Kind, techniques
from contracts.host import Facts
from contracts.title import title

OCSF_VERSION = "1.5.0"
FINDING = 2004
CONFIG_STATE_CHANGE = 5019
LIFECYCLE = 6002
ERROR = 6008
CLASS_NAMES = {
    FINDING: "Detection Finding",
    CONFIG_STATE_CHANGE: "Device Config State Change",
    LIFECYCLE: "Application Lifecycle",
    ERROR: "Application Error",
}
_CATEGORY_NAMES = {2: "Findings", 5: "Discovery", 6: "Application Activity"}
_OTHER = 99
_LIFECYCLE_ACTIVITIES = {"started": (3, "Start"), "stopped": (4, "Stop")}
_TECHNIQUES = {
    "T1029": "Scheduled Transfer",
    "T1036": "Masquerading",
    "T1036.005": "Match Legitimate Resource Name or Location",
    "T1040": "Network Sniffing",
    "T1046": "Network Service Discovery",
    "T1048": "Exfiltration Over Alternative Protocol",
    "T1068": "Exploitation for Privilege Escalation",
    "T1070": "Indicator Removal",
    "T1070.006": "Timestomp",
    "T1071": "Application Layer Protocol",
    "T1071.004": "DNS",
    "T1078": "Valid Accounts",
    "T1110": "Brute Force",
    "T1110.001": "Password Guessing",
    "T1110.003": "Password Spraying",
    "T1190": "Exploit Public-Facing Application",
    "T1204": "User Execution",
    "T1204.002": "Malicious File",
    "T1205": "Traffic Signaling",
    "T1485": "Data Destruction",
    "T1486": "Data Encrypted for Impact",
    "T1489": "Service Stop",
    "T1498": "Network Denial of Service",
    "T1498.001": "Direct Network Flood",
    "T1498.002": "Reflection Amplification",
    "T1499": "Endpoint Denial of Service",
    "T1499.001": "OS Exhaustion Flood",
    "T1499.002": "Service Exhaustion Flood",
    "T1505": "Server Software Component",
    "T1505.003": "Web Shell",
    "T1552": "Unsecured Credentials",
    "T1553": "Subvert Trust Controls",
    "T1553.004": "Install Root Certificate",
    "T1554": "Compromise Host Software Binary",
    "T1557": "Adversary-in-the-Middle",
    "T1557.002": "ARP Cache Poisoning",
    "T1562": "Impair Defenses",
    "T1562.001": "Disable or Modify Tools",
    "T1562.004": "Disable or Modify System Firewall",
    "T1567": "Exfiltration Over Web Service",
    "T1568": "Dynamic Resolution",
    "T1568.002": "Domain Generation Algorithms",
    "T1571": "Non-Standard Port",
    "T1572": "Protocol Tunneling",
    "T1595": "Active Scanning",
    "T1595.001": "Scanning IP Blocks",
    "T1595.002": "Vulnerability Scanning",
    "T1070.004": "File Deletion",
    "T1222.002": "Linux and Mac File and Directory Permissions Modification",
    "T1548": "Abuse Elevation Control Mechanism",
    "T1548.001": "Setuid and Setgid",
    "T1222": "File and Directory Permissions Modification",
}
"""Names of the techniques our kinds refer to (MITRE ATT&CK, `contracts.event.ATTACK_VERSION`); a test asks for each."""


def to_ocsf(envelope: Envelope, kind: Kind, facts: Facts, *, chain: bytes = b"", version: str = "") -> dict[str, Any]:
    """Return `envelope`, whose event is of `kind`, as an OCSF event of `OCSF_VERSION`, seen on the machine that `facts` describes.

    `chain` is the record's chain value in its lane and `version` that of the agent.
    """
    class_uid = class_of(kind)
    activity_id, activity = _activity(class_uid, kind)
    event = envelope.event
    return {
        "class_uid": class_uid,
        "class_name": CLASS_NAMES[class_uid],
        "category_uid": class_uid // 1000,
        "category_name": _CATEGORY_NAMES[class_uid // 1000],
        "activity_id": activity_id,
        "activity_name": activity,
        "type_uid": class_uid * 100 + activity_id,
        "type_name": f"{CLASS_NAMES[class_uid]}: {activity}",
        "time": event.observed_ms,
        "severity_id": int(event.severity),
        "severity": event.severity.name.capitalize(),
        "message": title(kind, event),
        "count": event.repeats + 1,
        "metadata": _metadata(envelope, version),
        "device": _device(envelope.agent, facts),
        **_of_class(class_uid, envelope, kind, version),
        "unmapped": {"holdfast": _unmapped(envelope, kind, chain, with_evidence=class_uid != FINDING)},
    }


def class_of(kind: Kind) -> int:
    """Return the OCSF class that events of `kind` are written as."""
    return kind.ocsf_class if kind.ocsf_class in CLASS_NAMES else FINDING


def _activity(class_uid: int, kind: Kind) -> tuple[int, str]:
    if class_uid == FINDING:
        return 1, "Create"
    if class_uid == CONFIG_STATE_CHANGE:
        return 1, "Log"
    if class_uid == ERROR:
        return 1, "General Error"
    return _LIFECYCLE_ACTIVITIES.get(kind.name.rpartition(".")[2], (_OTHER, kind.name))


def _metadata(envelope: Envelope, version: str) -> dict[str, Any]:
    return {
        "version": OCSF_VERSION,
        "uid": envelope.id,
        "event_code": envelope.event.kind,
        "sequence": envelope.seq,
        "log_name": envelope.lane.value,
        "product": _product(version),
        "profiles": ["host"],
    }


def _product(version: str) -> dict[str, Any]:
    return {"name": "Holdfast", "vendor_name": "Holdfast", **({"version": version} if version else {})}


def _device(agent: str, facts: Facts) -> dict[str, Any]:
    return {
        "uid": facts.machine_id or agent,
        "name": facts.hostname,
        "hostname": facts.hostname,
        "type_id": 1,
        "type": "Server",
        "os": {"name": facts.os_name or "Linux", "type_id": 200, "type": "Linux"},
    }


def _of_class(class_uid: int, envelope: Envelope, kind: Kind, version: str) -> dict[str, Any]:
    if class_uid == LIFECYCLE:
        return {"app": _product(version)}
    if class_uid == CONFIG_STATE_CHANGE:
        return {"state_id": _OTHER, "state": kind.name}
    return _finding(envelope, kind) if class_uid == FINDING else {}


def _finding(envelope: Envelope, kind: Kind) -> dict[str, Any]:
    event = envelope.event
    info: dict[str, Any] = {
        "uid": event.dedup or envelope.id,
        "title": title(kind, event),
        "desc": kind.meaning,
        "types": [kind.name],
        "created_time": event.observed_ms,
        "data_sources": [kind.name.partition(".")[0]],
    }
    attack = techniques(kind, event)
    if attack:
        info["attacks"] = [_attack(technique) for technique in attack]
    found: dict[str, Any] = {"finding_info": info, "status_id": 1, "status": "New"}
    if kind.advice:
        found["remediation"] = {"desc": kind.advice}
    if event.evidence:
        found["evidences"] = [{"data": dict(event.evidence)}]
    return found


def _attack(identifier: str) -> dict[str, Any]:
    parent, _, sub = identifier.partition(".")
    found: dict[str, Any] = {
        "version": ATTACK_VERSION,
        "technique": {"uid": parent, "name": _TECHNIQUES.get(parent, parent)},
    }
    if sub:
        found["sub_technique"] = {"uid": identifier, "name": _TECHNIQUES.get(identifier, identifier)}
    return found


def _unmapped(envelope: Envelope, kind: Kind, chain: bytes, *, with_evidence: bool) -> dict[str, Any]:
    event = envelope.event
    found: dict[str, Any] = {
        "agent": envelope.agent,
        "lane": envelope.lane.value,
        "seq": envelope.seq,
        "chain": chain.hex(),
        "kind": event.kind,
        "key": event.key,
        "fields": dict(event.fields),
        "evidence": dict(event.evidence) if with_evidence else {},
        "drill": event.drill,
        "dedup": event.dedup,
        "attack": list(techniques(kind, event)),
        "default_severity_id": int(kind.severity),
    }
    return {name: value for name, value in found.items() if value not in ("", [], {})}
