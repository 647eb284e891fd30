"""The kinds of event that the sensor states."""

from collectors.traffic.detectors.kinds import KINDS as FOUND
from contracts.event import Kind, Lane, Severity
from contracts.traffic_alert import ALERT, HELD_BACK

DROPPED = Kind(
    name="traffic.packets_dropped",
    meaning="The kernel dropped packets before the sensor had read them: what was in them was not seen.",
    title="Packets of {interface} that were not seen: {packets} ({share:.1f} %)",
    severity=Severity.MEDIUM,
    fields={"interface": "str", "packets": "int", "share": "float", "seconds": "float"},
    attack=("T1562.006",),
    advice="Give collectors.traffic.ring more memory, watch fewer interfaces, or leave traffic out with collectors.traffic.filter.",
    ocsf_class=6008,
)
EVICTED = Kind(
    name="traffic.flows_evicted",
    meaning="There were more flows than the sensor keeps; the least telling ones were given up, and rules no longer follow them.",
    title="Flows given up for lack of room: {count}",
    severity=Severity.MEDIUM,
    fields={"count": "int", "seconds": "float"},
    advice="Raise collectors.traffic.max_flows, or look for a flood.",
    ocsf_class=6008,
)
CUT = Kind(
    name="traffic.bodies_cut",
    meaning="More of requests, answers, bodies and files that had not ended was held than the sensor keeps: those of whoever held most were"
    " looked through as far as they had come and are not kept any further.",
    title="Conversations not read to their end for lack of room: {count}; {holders}",
    severity=Severity.MEDIUM,
    fields={"count": "int", "holders": "str", "seconds": "float"},
    attack=("T1562.006",),
    advice="Look at who holds most: requests that never end are an attack on the server, too. Else raise collectors.traffic.body_memory.",
    ocsf_class=6008,
)
NOT_RECORDED = Kind(
    name="traffic.flow_records_left_out",
    meaning="More flows ended at once than records are made of; what they did was seen, and there is no record of them.",
    title="Flows that ended without a record: {count}",
    severity=Severity.LOW,
    fields={"count": "int", "seconds": "float"},
    advice="Look for a flood or a scan; a stop of the agent with very many open flows does it, too.",
    ocsf_class=6008,
)
RULES_LOADED = Kind(
    name="traffic.rules_loaded",
    meaning="The sensor has taken a ruleset into use.",
    title="Rules: {loaded} in use, {refused} refused",
    severity=Severity.INFORMATIONAL,
    fields={
        "loaded": "int",
        "refused": "int",
        "files": "int",
        "examples": "list",
        "seconds": "float",
        "cached": "bool",
    },
    advice="`holdfast traffic rules check` names every rule that is refused, and why.",
    ocsf_class=6002,
    lane=Lane.BULK,
)
RULES_NOT_LOADED = Kind(
    name="traffic.rules_not_loaded",
    meaning="Rules, or lists that belong to them, could not be read; what was in use before stays in use.",
    title="Rules were not loaded: {detail}",
    severity=Severity.HIGH,
    fields={"detail": "str", "errors": "list"},
    advice="Check that the files are there and that the user holdfast may read them.",
    ocsf_class=6008,
)
SECRET_MISSING = Kind(
    name="traffic.evidence_not_kept",
    meaning="The secret that evidence is to be encrypted with cannot be read, so that none is kept.",
    title="No evidence is kept: {detail}",
    severity=Severity.MEDIUM,
    fields={"detail": "str"},
    advice="Make the secret readable for the user holdfast; it is tried again by itself.",
    ocsf_class=6008,
)
INTERFACE_GONE = Kind(
    name="traffic.interface_gone",
    meaning="An interface that is watched is not there: its traffic is not seen.",
    title="There is no interface {interface}",
    severity=Severity.MEDIUM,
    fields={"interface": "str"},
    advice="Bring it up, or take it out of collectors.traffic.interfaces.",
    ocsf_class=6008,
)
INTERFACE_BACK = Kind(
    name="traffic.interface_back",
    meaning="An interface that is watched has come back.",
    title="Interface {interface} is watched again",
    severity=Severity.INFORMATIONAL,
    fields={"interface": "str", "seconds": "float"},
    ocsf_class=6008,
)
INTERFACE_DOWN = Kind(
    name="traffic.interface_down",
    meaning="An interface that is watched is there, and nothing can come over it: it is down, or has no carrier.",
    title="Nothing can come over {interface}: {reason}",
    severity=Severity.MEDIUM,
    fields={"interface": "str", "reason": "str"},
    advice="Bring it up (ip link set), look at its cable or peer, or take it out of collectors.traffic.interfaces.",
    ocsf_class=6008,
)
INTERFACE_UP = Kind(
    name="traffic.interface_up",
    meaning="An interface that is watched can carry packets again.",
    title="Packets can come over {interface} again",
    severity=Severity.INFORMATIONAL,
    fields={"interface": "str", "seconds": "float"},
    ocsf_class=6008,
)
KINDS = (
    *FOUND,
    ALERT,
    HELD_BACK,
    DROPPED,
    EVICTED,
    CUT,
    NOT_RECORDED,
    RULES_LOADED,
    RULES_NOT_LOADED,
    SECRET_MISSING,
    INTERFACE_GONE,
    INTERFACE_BACK,
    INTERFACE_DOWN,
    INTERFACE_UP,
)
