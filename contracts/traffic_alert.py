"""The events of detection rules, whoever holds them against traffic: the sensor, or a Suricata whose output is followed."""

from contracts.event import Kind, Severity

SEVERITIES = {1: Severity.HIGH, 2: Severity.MEDIUM, 3: Severity.LOW}
"""By the rule's priority, which its classtype gives; less urgent ones are informational."""

ALERT = Kind(
    name="traffic.alert",
    meaning="A rule matched traffic of this server.",
    title="{signature} ({source} -> {destination}, rule {sid})",
    severity=Severity.MEDIUM,
    fields={
        "gid": "int",
        "sid": "int",
        "rev": "int",
        "signature": "str",
        "category": "str",
        "priority": "int",
        "action": "str",
        "source": "str",
        "source_port": "int",
        "destination": "str",
        "destination_port": "int",
        "protocol": "str",
        "app_protocol": "str",
        "direction": "str",
        "interface": "str",
        "community_id": "str",
        "offender": "str",
        "proven": "bool",
        "blocking": "bool",
        "packets_to_server": "int",
        "packets_to_client": "int",
        "bytes_to_server": "int",
        "bytes_to_client": "int",
        "capture": "str",
        "engine": "str",
        "techniques": "list",
        "reason": "str",
    },
    advice="See the packets: `holdfast traffic evidence show`; look up the rule by its number in its file.",
)
HELD_BACK = Kind(
    name="traffic.alerts_held_back",
    meaning="Rules matched more often than events are stated; the rest was counted.",
    title="Alerts counted, not stated one by one: {count}; rules they are of: {rules}",
    severity=Severity.LOW,
    fields={"count": "int", "rules": "int", "most": "list", "seconds": "float"},
    advice="Look whether a rule is too broad; a threshold.config quiets it for good.",
)
