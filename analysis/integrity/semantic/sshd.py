"""sshd_config: what the daemon does otherwise now, by Match block; the first value of a keyword holds (sshd_config(5))."""

import re

from analysis.integrity.semantic.sentence import Sentence, arrow, differing, shown
from contracts.event import Severity

_DEFAULTS = {
    "permitrootlogin": "prohibit-password",
    "passwordauthentication": "yes",
    "permitemptypasswords": "no",
    "pubkeyauthentication": "yes",
    "authorizedkeysfile": ".ssh/authorized_keys .ssh/authorized_keys2",
    "authorizedkeyscommand": "none",
    "authorizedprincipalsfile": "none",
    "trustedusercakeys": "none",
    "permituserenvironment": "no",
    "allowtcpforwarding": "yes",
    "gatewayports": "no",
    "permittunnel": "no",
    "x11forwarding": "no",
    "usepam": "no",
    "strictmodes": "yes",
    "forcecommand": "none",
    "chrootdirectory": "none",
    "loglevel": "INFO",
    "port": "22",
    "hostbasedauthentication": "no",
    "ignorerhosts": "yes",
    "kbdinteractiveauthentication": "yes",
}
_MANY = frozenset({"port", "listenaddress", "hostkey", "acceptenv", "allowusers", "allowgroups", "denyusers", "denygroups",
                   "subsystem", "setenv", "include", "permitopen", "permitlisten"})  # fmt: skip
"""Keywords that may stand several times and add up (Subsystem by its name)."""
_TECHNIQUES = {
    "permitrootlogin": ("T1098",),
    "passwordauthentication": ("T1556",),
    "permitemptypasswords": ("T1556",),
    "authorizedkeysfile": ("T1098.004",),
    "authorizedkeyscommand": ("T1098.004", "T1556"),
    "authorizedprincipalsfile": ("T1098.004",),
    "trustedusercakeys": ("T1098.004", "T1556"),
    "forcecommand": ("T1546",),
    "permituserenvironment": ("T1574.006",),
    "setenv": ("T1574.006",),
    "acceptenv": ("T1574.006",),
    "usepam": ("T1556.003",),
    "loglevel": ("T1562",),
    "subsystem": ("T1546",),
    "allowtcpforwarding": ("T1572",),
    "permittunnel": ("T1572",),
    "gatewayports": ("T1572",),
    "strictmodes": ("T1556",),
    "hostbasedauthentication": ("T1556",),
    "ignorerhosts": ("T1556",),
    "port": ("T1571",),
    "pubkeyauthentication": ("T1556",),
    "kbdinteractiveauthentication": ("T1556",),
    "authenticationmethods": ("T1556",),
    "allowusers": ("T1098",),
    "allowgroups": ("T1098",),
    "denyusers": ("T1098",),
    "denygroups": ("T1098",),
    "hostkey": ("T1557",),
    "include": ("T1556",),
    "ciphers": ("T1600",),
    "macs": ("T1600",),
    "kexalgorithms": ("T1600",),
}
_MEDIUM = frozenset(
    {"allowusers", "allowgroups", "denyusers", "denygroups", "authenticationmethods", "hostkey", "include", "usepam"}
)
_GRAVE = {
    ("permitrootlogin", "yes"),
    ("permitemptypasswords", "yes"),
    ("strictmodes", "no"),
    ("hostbasedauthentication", "yes"),
    ("ignorerhosts", "no"),
    ("permituserenvironment", "yes"),
    ("passwordauthentication", "yes"),
    ("loglevel", "quiet"),
}
_ALWAYS_GRAVE = frozenset(
    {"authorizedkeyscommand", "trustedusercakeys", "authorizedkeysfile", "forcecommand", "subsystem"}
)
_ALIASES = {
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "dsaauthentication": "pubkeyauthentication",
}
_LINE = re.compile(r"\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.*?)\s*$")

Settings = dict[str, dict[str, str]]
"""Values by keyword (lower case), by the Match block they stand in ("" for none)."""


def explain(old: str, new: str) -> list[Sentence]:
    """Return what differs for the daemon; comments, order beyond the first value, and spelling are no difference."""
    before, after = parse(old), parse(new)
    found = []
    for block in dict.fromkeys((*after, *before)):
        for keyword, was, now in differing(before.get(block, {}), after.get(block, {})):
            plain = keyword if block else ""  # what a block does not say is as for everybody
            found.append(_sentence(block, keyword, was, now, before[""].get(plain), after[""].get(plain)))
    return found


def parse(text: str) -> Settings:
    """Return the settings; a keyword's first value counts, those that may stand several times are joined in their order."""
    found: Settings = {"": {}}
    block = ""
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None or line.lstrip().startswith("#"):
            continue
        keyword = _ALIASES.get(match[1].lower(), match[1].lower())
        value = " ".join(match[2].partition(" #")[0].strip().strip('"').split())
        if keyword == "match":
            block = "" if value.lower() == "all" else value
            found.setdefault(block, {})
        elif keyword in _MANY:
            name = f"subsystem {value.partition(' ')[0]}" if keyword == "subsystem" else keyword
            rest = value.partition(" ")[2] if keyword == "subsystem" else value
            held = found[block].get(name)
            found[block][name] = rest if held is None or keyword == "subsystem" else f"{held} {rest}"
        else:
            found[block].setdefault(keyword, value)
    return found


def _sentence(
    block: str, keyword: str, was: str | None, now: str | None, was_for_all: str | None, now_for_all: str | None
) -> Sentence:
    was, now = was if was is not None else was_for_all, now if now is not None else now_for_all
    plain = keyword.partition(" ")[0]
    default = _DEFAULTS.get(plain, "not set")
    where = f" for Match {shown(block)}" if block else ""
    grave = plain in _ALWAYS_GRAVE or (plain, (now or default).lower()) in _GRAVE
    said = default + " (default)" if default != "not set" else default
    return Sentence(
        text=arrow(_spelled(keyword), was, now, said) + where,
        attack=_TECHNIQUES.get(plain, ()),
        severity=Severity.HIGH if grave else Severity.MEDIUM if plain in _MEDIUM else Severity.LOW,
    )


_NAMES = {
    name.lower(): name
    for name in [
        "PermitRootLogin",
        "PasswordAuthentication",
        "PermitEmptyPasswords",
        "PubkeyAuthentication",
        "AuthorizedKeysFile",
        "AuthorizedKeysCommand",
        "AuthorizedKeysCommandUser",
        "AuthorizedPrincipalsFile",
        "TrustedUserCAKeys",
        "PermitUserEnvironment",
        "AllowTcpForwarding",
        "GatewayPorts",
        "PermitTunnel",
        "X11Forwarding",
        "UsePAM",
        "StrictModes",
        "ForceCommand",
        "ChrootDirectory",
        "LogLevel",
        "Port",
        "ListenAddress",
        "HostKey",
        "AcceptEnv",
        "SetEnv",
        "AllowUsers",
        "AllowGroups",
        "DenyUsers",
        "DenyGroups",
        "Subsystem",
        "Include",
        "MaxAuthTries",
        "HostbasedAuthentication",
        "IgnoreRhosts",
        "KbdInteractiveAuthentication",
        "Ciphers",
        "MACs",
        "KexAlgorithms",
        "LoginGraceTime",
        "ClientAliveInterval",
        "ClientAliveCountMax",
        "Banner",
        "PrintMotd",
        "UseDNS",
        "AuthenticationMethods",
        "PermitOpen",
        "PermitListen",
    ]
}


def _spelled(keyword: str) -> str:
    plain, _, name = keyword.partition(" ")
    return _NAMES.get(plain, plain) + (f" {name}" if name else "")
