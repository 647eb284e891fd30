"""Which command lines only read. A tool is not read-only by its name: `ss -K` kills, `nft` takes a second command after a semicolon."""

import re
from collections.abc import Callable, Sequence

_WORD = re.compile(r"[\w.:/@%+,=*-]+")
_NFT_FLAGS = frozenset(
    [
        "-a",
        "-j",
        "-n",
        "-nn",
        "-s",
        "-t",
        "-y",
        "-N",
        "-S",
        "-u",
        "-p",
        "--handle",
        "--json",
        "--numeric",
        "--stateless",
        "--terse",
        "--numeric-priority",
    ]
)
_NFT_LISTS = frozenset(["list"])
_SAVE_FLAGS = frozenset({"-c", "--counters"})
_SAVE_TABLES = frozenset({"filter", "nat", "mangle", "raw", "security", "broute"})
_UFW = {("status",), ("status", "verbose"), ("status", "numbered"), ("show", "added"), ("version",)}
_FIREWALLD = re.compile(
    r"--(state|version|permanent|direct|list-[a-z-]+|get-[a-z-]+|info-[a-z-]+=[\w.-]+|(zone|policy|ipset|service)=[\w.-]+)"
)
_IP_FLAGS = frozenset(["-j", "-json", "-d", "-details", "-s", "-stats", "-4", "-6", "-o", "-N", "-p"])
_IP_OBJECTS = frozenset(
    [
        "a",
        "addr",
        "address",
        "l",
        "link",
        "r",
        "ro",
        "route",
        "rule",
        "n",
        "neigh",
        "netns",
        "netconf",
        "maddress",
        "tunnel",
        "xfrm",
    ]
)
_LINK = re.compile(r"(?!-)[^\s/\0]{1,15}")
_XFRM = {("xfrm", "policy"), ("xfrm", "policy", "getdefault")}
_IP_VERBS = frozenset({"show", "list", "ls", "get"})
_SS = re.compile(
    r"-[tuSwxdlanpeHiOmo460MZbN]+|--(tcp|udp|sctp|listening|numeric|processes|no-header|all|json|extended)"
)
_SYSTEMCTL = frozenset(
    [
        "show",
        "is-active",
        "is-enabled",
        "is-failed",
        "list-units",
        "list-unit-files",
        "list-sockets",
        "list-timers",
        "cat",
        "status",
    ]
)
_SYSTEMCTL_FLAGS = re.compile(
    r"--(no-pager|no-legend|plain|all|value|full|state=[\w,-]+|type=[\w,-]+|property=[\w,]+)|-p|-a"
)
_DPKG_FLAGS = re.compile(r"-W|-S|-l|-L|-s|--show|--search|--list|--listfiles|--status|(-f|--showformat)=[^`]*")
_RPM_FORMAT = re.compile(r"(%\{[A-Z:a-z]+\}|\\[nt]|[\w .:/|-])*")


def allows(tool: str, arguments: Sequence[str]) -> bool:
    """Say whether `tool` with `arguments` is a command line that only reads."""
    check = _CHECKS.get(tool)
    return check is not None and not any("\0" in argument for argument in arguments) and check(tuple(arguments))


def _nft(arguments: tuple[str, ...]) -> bool:
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        flag = rest.pop(0)
        if flag not in _NFT_FLAGS and flag != "--version" and flag != "-v":
            return False
    if not rest:
        return arguments in (("--version",), ("-v",))
    return rest[0] in _NFT_LISTS and all(_WORD.fullmatch(word) and not word.startswith("-") for word in rest)


def _save(arguments: tuple[str, ...]) -> bool:
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word in _SAVE_FLAGS or word in ("-V", "--version"):
            continue
        if word != "-t" or not rest or rest.pop(0) not in _SAVE_TABLES:
            return False
    return True


def _version(arguments: tuple[str, ...]) -> bool:
    return arguments in (("--version",), ("-V",))


def _ufw(arguments: tuple[str, ...]) -> bool:
    return arguments in _UFW


def _firewalld(arguments: tuple[str, ...]) -> bool:
    looks = [word for word in arguments if not word.startswith(("--permanent", "--direct", "--zone=", "--policy="))]
    return bool(looks) and all(_FIREWALLD.fullmatch(word) for word in arguments)


def _ip(arguments: tuple[str, ...]) -> bool:
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        if rest.pop(0) not in _IP_FLAGS:
            return False
    if not rest or rest[0] not in _IP_OBJECTS or not all(_WORD.fullmatch(word) for word in rest):
        return False
    return len(rest) == 1 or rest[1] in _IP_VERBS or tuple(rest) in _XFRM


def _tc(arguments: tuple[str, ...]) -> bool:
    """`tc` takes a batch of changes by `-b`, so only its plainest questions pass."""
    if arguments[:1] != ("-j",):
        return False
    return arguments[1:] == ("qdisc", "show") or (
        arguments[1:4] == ("filter", "show", "dev")
        and len(arguments) in (5, 6)
        and _LINK.fullmatch(arguments[4]) is not None
        and arguments[5:] in ((), ("ingress",), ("egress",))
    )


def _ipset(arguments: tuple[str, ...]) -> bool:
    """An option may stand anywhere, and `-file` writes: exactly these lines, and no name that begins like an option."""
    if arguments == ("list", "-t"):
        return True
    return len(arguments) == 2 and arguments[0] == "save" and bool(arguments[1]) and not arguments[1].startswith("-")


def _ss(arguments: tuple[str, ...]) -> bool:
    return all(_SS.fullmatch(word) for word in arguments)


def _systemctl(arguments: tuple[str, ...]) -> bool:
    words = [word for word in arguments if not word.startswith("-")]
    flags = [word for word in arguments if word.startswith("-")]
    return bool(words) and words[0] in _SYSTEMCTL and all(_SYSTEMCTL_FLAGS.fullmatch(flag) for flag in flags)


def _dpkg_query(arguments: tuple[str, ...]) -> bool:
    return bool(arguments) and all(_DPKG_FLAGS.fullmatch(word) for word in arguments if word.startswith("-"))


def _rpm(arguments: tuple[str, ...]) -> bool:
    """`%(…)` in a format would run a shell, so only plain tags pass."""
    if arguments[:2] not in (("-qf", "--qf"), ("-qa", "--qf")) or len(arguments) < 3:
        return arguments == ("--version",)
    return bool(_RPM_FORMAT.fullmatch(arguments[2])) and all(word.startswith("/") for word in arguments[3:])


def _gpgv(arguments: tuple[str, ...]) -> bool:
    """Verifying alone: keyrings, then a signed text to standard output, or a signature and its text."""
    rest = list(arguments)
    if rest[:2] != ["--status-fd", "2"]:
        return False
    del rest[:2]
    while rest[:1] == ["--keyring"] and len(rest) > 1 and rest[1].startswith("/"):
        del rest[:2]
    if rest[:2] == ["--output", "-"]:
        return len(rest) == 3 and rest[2].startswith("/")
    return len(rest) == 2 and all(word.startswith("/") for word in rest)


def _apt_helper(arguments: tuple[str, ...]) -> bool:
    """Its other words fetch and write: only what shows one file."""
    return len(arguments) == 2 and arguments[0] == "cat-file" and arguments[1].startswith("/")


def _sigtool(arguments: tuple[str, ...]) -> bool:
    """`--info` reads one database and checks its digital signature; other options of it build and unpack."""
    return len(arguments) == 2 and arguments[0] == "--info" and arguments[1].startswith("/")


def _mdatp(arguments: tuple[str, ...]) -> bool:
    return arguments == ("health", "--output", "json")


_CHECKS: dict[str, Callable[[tuple[str, ...]], bool]] = {
    "nft": _nft,
    "ufw": _ufw,
    "firewall-cmd": _firewalld,
    "dpkg-query": _dpkg_query,
    "rpm": _rpm,
    "gpgv": _gpgv,
    "apt-helper": _apt_helper,
    "ip": _ip,
    "tc": _tc,
    "ipset": _ipset,
    "sigtool": _sigtool,
    "mdatp": _mdatp,
    "ss": _ss,
    "systemctl": _systemctl,
    **{f"{name}{kind}-save": _save for name in ("iptables", "ip6tables") for kind in ("", "-nft", "-legacy")},
    **{f"{name}{kind}": _version for name in ("iptables", "ip6tables") for kind in ("", "-nft", "-legacy")},
}
