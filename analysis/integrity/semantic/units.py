"""systemd units and drop-ins: what runs, when, as whom, and which protections went (systemd.exec(5), systemd.syntax(7))."""

from analysis.integrity.semantic.sentence import Sentence, arrow, differing, shown
from contracts.event import Severity

_RUNS = ("ExecStart", "ExecStartPre", "ExecStartPost", "ExecStop", "ExecStopPost", "ExecReload", "ExecCondition")
_WHEN = frozenset({"OnCalendar", "OnBootSec", "OnStartupSec", "OnActiveSec", "OnUnitActiveSec", "OnUnitInactiveSec"})
_LISTENS = frozenset({"ListenStream", "ListenDatagram", "ListenSequentialPacket", "ListenFIFO", "ListenNetlink"})
_ENVIRONMENT = frozenset({"Environment", "EnvironmentFile", "PassEnvironment"})
_PROTECTS = frozenset(
    [
        "NoNewPrivileges",
        "ProtectSystem",
        "ProtectHome",
        "PrivateTmp",
        "PrivateDevices",
        "PrivateNetwork",
        "PrivateUsers",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "ProtectControlGroups",
        "ProtectClock",
        "ProtectProc",
        "RestrictAddressFamilies",
        "RestrictNamespaces",
        "SystemCallFilter",
        "CapabilityBoundingSet",
        "AmbientCapabilities",
        "MemoryDenyWriteExecute",
        "DynamicUser",
        "User",
        "Group",
        "IPAddressDeny",
    ]
)


def explain(old: str, new: str) -> list[Sentence]:
    """Return what differs, by section and setting; assignments add up, and an empty one clears what stood before."""
    return [_sentence(key, was, now) for key, was, now in differing(parse(old), parse(new))]


def parse(text: str) -> dict[str, str]:
    """Return values by `Section.Setting`, several joined by ` ; ` in their order; a clearing assignment is kept as `(cleared)`."""
    values: dict[str, list[str]] = {}
    section = ""
    for line in text.replace("\\\n", " ").splitlines():
        plain = line.strip()
        if not plain or plain[0] in "#;":
            continue
        if plain.startswith("[") and plain.endswith("]"):
            section = plain[1:-1]
            continue
        name, equals, value = plain.partition("=")
        if not equals:
            continue
        held = values.setdefault(f"{section}.{name.strip()}", [])
        if not value.strip():
            held[:] = ["(cleared)"]
        else:
            held.append(" ".join(value.split()))
    return {key: " ; ".join(held) for key, held in values.items()}


def _sentence(key: str, was: str | None, now: str | None) -> Sentence:
    setting = key.partition(".")[2]
    text = arrow(setting, was, now)
    if setting in _RUNS:
        return Sentence(text=text, attack=("T1543.002",), severity=Severity.HIGH if now else Severity.MEDIUM)
    if setting in _WHEN:
        return Sentence(text=text, attack=("T1053.006",), severity=Severity.MEDIUM)
    if setting in _LISTENS:
        return Sentence(text=text, attack=("T1543.002",), severity=Severity.MEDIUM)
    if setting in _ENVIRONMENT:
        preload = "LD_PRELOAD" in (now or "") or "LD_LIBRARY_PATH" in (now or "")
        return Sentence(
            text=_without_values(setting, was, now),
            attack=("T1574.006",) if preload else ("T1543.002",),
            severity=Severity.HIGH if preload else Severity.LOW,
        )
    if setting in _PROTECTS:
        return Sentence(text=text, attack=("T1543.002",), severity=Severity.MEDIUM)
    if setting in ("WantedBy", "RequiredBy", "Alias", "Also"):
        return Sentence(text=text, attack=("T1543.002",), severity=Severity.LOW)
    return Sentence(text=text, severity=Severity.LOW)


def _without_values(setting: str, was: str | None, now: str | None) -> str:
    """Environment may hold secrets: names alone are shown."""
    if setting != "Environment":
        return arrow(setting, was, now)
    return arrow(setting, _names(was), _names(now))


def _names(value: str | None) -> str | None:
    if value is None:
        return None
    words = [word.strip("\"'") for word in value.replace(" ; ", " ").split() if "=" in word]
    return shown(", ".join(word.partition("=")[0] for word in words) or "other")
