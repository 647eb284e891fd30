"""Rulesets of iptables for both back ends, with the common matches and targets, and the ipsets they look into."""

import ipaddress
import re
from dataclasses import dataclass, field

from tests.analysis.firewall.kernel.choosing import Chooser
from tests.analysis.firewall.kernel.probing import BANDS
from tests.analysis.firewall.kernel.rulesets import Rule, XTable
from tests.analysis.firewall.kernel.scene import Pools

TABLES = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "INPUT", "INPUT", "FORWARD", "OUTPUT"),
}
IN = ("PREROUTING", "INPUT", "FORWARD")
OUT = ("FORWARD", "OUTPUT", "POSTROUTING")
SAVED_AS = {"--syn": "--tcp-flags", **{f"--{way}-mark": "--set-xmark" for way in ("set", "and", "or", "xor")}}
"""What `iptables-save` writes for another spelling of the same."""
COMMENT = re.compile(r'"[^"]*"')
TAG = re.compile(r"(!)? ?(-s|-d|-i|-o|-p|-[jg]|-m|--[a-z-]+)\b(?: (\S+))?")


@dataclass
class Scene:
    """What one table draws from."""

    choose: Chooser
    pools: Pools
    version: int
    table: str
    chain: str = ""
    own: list[str] = field(default_factory=list)
    ipsets: list[str] = field(default_factory=list)

    def no(self, percent: int = 22) -> str:
        """Return an exclamation mark, or not."""
        return "! " if self.choose.chance(percent) else ""

    def source(self) -> str:
        """Return an address that probes come from."""
        return self.choose.pick(self.pools.sources[self.version])

    def destination(self) -> str:
        """Return an address that probes go to."""
        return self.choose.pick(self.pools.destinations[self.version] + self.pools.translated[self.version][:1])

    def port(self) -> int:
        """Return a port that is probed."""
        return self.choose.pick(self.pools.ports)

    def ports(self) -> str:
        """Return a port or a range of them."""
        low = self.port()
        return self.choose.pick((str(low), str(low), f"{low}:{low + 400}"))


def tags_of(line: str) -> tuple[str, ...]:
    """Return the tags of an `-A` line: its matches with their options, and its target."""
    found = []
    for no, word, value in TAG.findall(COMMENT.sub("", line)):
        if word in ("-j", "-g"):
            known = value.isupper() and not value.startswith("SUB")
            found.append(f"xt target {value}" if known else f"xt {'jump' if word == '-j' else 'goto'}")
        elif word == "-m":
            found.append(f"xt -m {value}")
        elif word == "--match-set":
            found.append(f"ipset {value.rstrip('0123456789')}")
        else:
            found.append(f"xt {SAVED_AS.get(word, word)}")
        if no:
            found.append("xt !")
    return tuple(dict.fromkeys(found))


def prefix(scene: Scene, address: str) -> str:
    """Return `address` or a network around it."""
    lengths = (8, 16, 24, 32) if scene.version == 4 else (16, 32, 64, 128)
    return str(ipaddress.ip_network(f"{address}/{scene.choose.pick(lengths)}", strict=False))


def own_matches(scene: Scene) -> list[str]:
    """Return some of the options every rule has."""
    choose, words = scene.choose, []
    if choose.chance(35):
        words.append(f"{scene.no()}-s {prefix(scene, scene.source())}")
    if choose.chance(25):
        words.append(f"{scene.no()}-d {prefix(scene, scene.destination())}")
    if scene.chain in IN and choose.chance(20):
        words.append(f"{scene.no()}-i {choose.pick(('lo', 'wan0', 'lan0', 'br0', 'w+', 'l+', 'br+'))}")
    if scene.chain in OUT and choose.chance(20):
        words.append(f"{scene.no()}-o {choose.pick(('lo', 'wan0', 'lan0', 'br0', 'w+', 'l+'))}")
    return words


def protocol_matches(scene: Scene) -> list[str]:
    """Return matches that need a protocol, with it."""
    choose = scene.choose
    protocol = choose.pick(("tcp", "tcp", "udp"))
    form = choose.tag({"dport": 10, "multiport": 8, "flags": 3, "syn": 2, "sport": 2, "alone": 4, "negated": 2})
    if form == "negated":
        return [f"! -p {protocol}"]
    words = [f"-p {protocol}"]
    if form == "dport":
        words.append(f"-m {protocol} {scene.no()}--dport {scene.ports()}")
    elif form == "sport":
        low, high = choose.pick(BANDS)
        words.append(f"-m {protocol} {scene.no()}--sport {low}:{high}")
    elif form == "multiport":
        ports = [
            f"{port}:{port + 300}" if choose.chance(25) else str(port) for port in choose.some(scene.pools.ports, 1, 4)
        ]
        words.append(
            f"-m multiport {scene.no()}{choose.pick(('--dports', '--dports', '--ports', '--sports'))} {','.join(ports)}"
        )
    elif form == "flags" and protocol == "tcp":
        words.append(
            f"-m tcp {scene.no()}--tcp-flags {choose.pick(('FIN,SYN,RST,ACK SYN', 'SYN,ACK ACK', 'ALL NONE', 'SYN SYN'))}"
        )
    elif form == "syn" and protocol == "tcp":
        words.append(f"-m tcp {scene.no()}--syn")
    return words


def extra_match(scene: Scene) -> str:
    """Return one match of an extension."""
    choose = scene.choose
    kinds = {
        "conntrack": 10, "state": 4, "addrtype": 6, "iprange": 5, "mark": 6, "connmark": 4, "set": 9, "comment": 3, "pkttype": 2,
        "ctorig": 5, "devgroup": 1, "policy": 1,
    }  # fmt: skip
    if scene.chain == "PREROUTING" and scene.table in ("raw", "mangle"):
        kinds["rpfilter"] = 5
    kind = choose.tag(kinds)
    if kind == "conntrack":
        states = ("NEW", "NEW,UNTRACKED", "RELATED,ESTABLISHED", "INVALID", "UNTRACKED", "DNAT", "NEW,DNAT", "SNAT")
        option = choose.tag({"xt --ctstate": 12, "xt --ctdir": 4, "xt --ctproto": 3, "xt --ctstatus": 3})
        values = {"xt --ctstate": choose.pick(states), "xt --ctproto": "6", "xt --ctstatus": "NONE"}
        if option == "xt --ctdir":
            return f"-m conntrack --ctdir {choose.pick(('ORIGINAL', 'REPLY'))}"
        return f"-m conntrack {scene.no()}{option.removeprefix('xt ')} {values[option]}"
    if kind == "ctorig":
        values = {
            "xt --ctorigdst": scene.destination(),
            "xt --ctorigsrc": scene.source(),
            "xt --ctorigdstport": str(scene.port()),
            "xt --ctreplsrc": scene.destination(),
            "xt --ctrepldst": scene.source(),
            "xt --ctreplsrcport": str(scene.port()),
            "xt --ctorigsrcport": "{}:{}".format(*choose.pick(BANDS)),
        }
        option = choose.tag(dict.fromkeys(values, 4))
        return f"-m conntrack {scene.no()}{option.removeprefix('xt ')} {values[option]}"
    if kind == "state":
        return f"-m state {scene.no()}--state {choose.pick(('NEW', 'RELATED,ESTABLISHED', 'INVALID,NEW', 'UNTRACKED'))}"
    if kind == "addrtype":
        limits = [""]
        if (
            scene.chain in ("PREROUTING", "INPUT")
            and choose.tag({"no limit": 12, "xt --limit-iface-in": 4}) != "no limit"
        ):
            limits = [" --limit-iface-in"]
        types = choose.pick(("LOCAL", "UNICAST", "LOCAL,UNICAST", "BROADCAST" if scene.version == 4 else "MULTICAST"))
        return f"-m addrtype {scene.no()}{choose.pick(('--dst-type', '--src-type'))} {types}{choose.pick(limits)}"
    if kind == "iprange":
        which, base = choose.pick((("src", scene.source()), ("dst", scene.destination())))
        low = ipaddress.ip_address(base)
        return f"-m iprange {scene.no()}--{which}-range {low}-{low + choose.number(0, 100)}"
    if kind in ("mark", "connmark"):
        mask = choose.pick(("", "/0xff", "/0x10", "/0x1"))
        return f"-m {kind} {scene.no()}--mark {choose.pick((*scene.pools.marks, 0)):#x}{mask}"
    if kind == "set":
        return ipset_match(scene)
    if kind == "rpfilter":
        options = {
            "rpfilter alone": "",
            "xt --invert": " --invert",
            "xt --loose": " --loose",
            "xt --validmark": " --validmark",
        }
        return f"-m rpfilter{options[choose.tag(dict.fromkeys(options, 4))]}"
    if kind == "devgroup":
        side = "--src-group" if scene.chain in IN else "--dst-group"
        return f"-m devgroup {scene.no()}{side} 0x0" if scene.chain in IN + OUT else "-m comment --comment devgroup"
    if kind == "policy":
        return (
            f"-m policy --dir in --pol {choose.pick(('none', 'ipsec'))}"
            if scene.chain in IN
            else "-m comment --comment policy"
        )
    if kind == "pkttype":
        return f"-m pkttype {scene.no()}--pkt-type {choose.pick(('unicast', 'broadcast'))}"
    return '-m comment --comment "allow -j DROP"'


def ipset_match(scene: Scene) -> str:
    """Return a match against a new ipset."""
    choose, number = scene.choose, len(scene.ipsets)
    kind = choose.tag(
        {
            "hash:ip": 4,
            "hash:net": 5,
            "hash:ip,port": 4,
            "hash:net,port": 3,
            "bitmap:port": 3,
            "list:set": 2,
            "hash:net,iface": 2,
        }
    )
    if kind == "hash:net,iface" and scene.chain not in ("PREROUTING", "INPUT", "FORWARD"):
        kind = "hash:net"
    name = f"{kind.replace(':', '_').replace(',', '_')}{scene.version}{number}{choose.number(0, 10**6)}"
    family = "" if kind in ("bitmap:port", "list:set") else f" family {'inet' if scene.version == 4 else 'inet6'}"
    elements: list[str] = []
    for _ in range(choose.number(1, 4)):
        net = prefix(scene, scene.source())
        port = f"{choose.pick(('tcp', 'udp'))}:{scene.port()}"
        elements.append(
            {
                "hash:ip": scene.source(),
                "hash:net": net + (" nomatch" if choose.chance(25) else ""),
                "hash:ip,port": f"{scene.source()},{port}",
                "hash:net,port": f"{net},{port}",
                "hash:net,iface": f"{net},{choose.pick(('wan0', 'lan0', 'br0'))}",
                "bitmap:port": str(scene.port()),
                "list:set": "",
            }[kind]
        )
    lines = [f"create {name} {kind}{family}" + (" range 0-65535" if kind == "bitmap:port" else "")]
    if kind == "list:set":
        inner = f"i{name}"
        six = "inet" if scene.version == 4 else "inet6"
        lines = [
            f"create {inner} hash:ip family {six}",
            f"add {inner} {scene.source()}",
            lines[0],
            f"add {name} {inner}",
        ]
    else:
        lines += [f"add {name} {element} -exist" for element in elements]
    scene.ipsets.extend(lines)
    directions = {
        "bitmap:port": "dst",
        "hash:ip,port": "src,dst",
        "hash:net,port": "src,dst",
        "hash:net,iface": "src,src",
    }
    return f"-m set {scene.no()}--match-set {name} {directions.get(kind, 'src')}"


def target(scene: Scene) -> tuple[list[str], str]:
    """Return what the target needs to be narrowed to, and the target."""
    choose = scene.choose
    if scene.table == "nat":
        return nat_target(scene)
    kinds = {"ACCEPT": 24, "DROP": 20, "RETURN": 4}
    if scene.own:
        kinds |= {"jump": 14, "goto": 6}
    if scene.table == "filter":
        kinds["REJECT"] = 9
    if scene.table == "mangle":
        kinds |= {"MARK": 30, "CONNMARK": 12}
    if scene.table == "raw":
        kinds |= {"CT": 14, "NOTRACK": 0}
    kind = choose.tag({name: weight for name, weight in kinds.items() if weight})
    mark = choose.pick(scene.pools.marks)
    if kind in ("jump", "goto"):
        return [], f"{'-j' if kind == 'jump' else '-g'} {choose.pick(scene.own)}"
    if kind == "REJECT":
        plain = "icmp-admin-prohibited" if scene.version == 4 else "icmp6-adm-prohibited"
        if choose.chance(30):
            return ["-p tcp"], "-j REJECT --reject-with tcp-reset"
        return [], choose.pick(("-j REJECT", f"-j REJECT --reject-with {plain}"))
    if kind == "MARK":
        return [], choose.pick(
            (
                f"-j MARK --set-mark {mark:#x}",
                f"-j MARK --set-xmark {mark:#x}/0xff",
                f"-j MARK --or-mark {mark:#x}",
                f"-j MARK --and-mark {mark:#x}",
                f"-j MARK --xor-mark {mark:#x}",
            )
        )
    if kind == "CONNMARK":
        return [], choose.pick(
            (f"-j CONNMARK --set-mark {mark:#x}", "-j CONNMARK --save-mark", "-j CONNMARK --restore-mark")
        )
    if kind == "CT":
        return [], "-j CT --notrack"
    return [], f"-j {kind}"


def nat_target(scene: Scene) -> tuple[list[str], str]:
    """Return a target of the table nat."""
    choose = scene.choose
    if scene.chain == "POSTROUTING":
        own = choose.pick(scene.pools.destinations[scene.version])
        return ["! -o lo"], choose.pick(("-j MASQUERADE", f"-j SNAT --to-source {own}", "-j ACCEPT"))
    address = choose.pick(scene.pools.translated[scene.version])
    port = choose.pick(scene.pools.ports)
    protocol = [f"-p {choose.pick(('tcp', 'udp'))}"]
    kind = choose.tag({"DNAT": 10, "DNAT port": 8, "REDIRECT": 8, "NETMAP": 2, "ACCEPT": 3, "RETURN": 2})
    if kind == "DNAT":
        return protocol, f"-j DNAT --to-destination {address}"
    if kind == "DNAT port":
        aim = f"{address}:{port}" if scene.version == 4 else f"[{address}]:{port}"
        return protocol, f"-j DNAT --to-destination {aim}"
    if kind == "REDIRECT":
        return protocol, f"-j REDIRECT --to-ports {port}"
    if kind == "NETMAP":
        if scene.version == 4:
            return ["-d 192.0.2.8/29"], "-j NETMAP --to 172.18.0.0/29"
        return ["-d 2001:db8:2::10/124"], "-j NETMAP --to fd00:18::/124"
    return [], f"-j {kind}"


def rule(scene: Scene, chain: str) -> Rule:
    """Return one rule of `chain`."""
    scene.chain = chain
    needs, what = target(scene)
    words = own_matches(scene)
    protocol = needs if any(word.startswith("-p") for word in needs) else []
    if scene.choose.chance(55):
        matches = protocol_matches(scene)
        if not protocol:
            words += matches
        elif matches[0] == protocol[0]:
            words += matches
            protocol = []
        elif not matches[0].startswith("!"):
            replaced = matches[0].removeprefix("-p ")
            wanted = protocol[0].removeprefix("-p ")
            words += [
                word.replace(f"-m {replaced} ", f"-m {wanted} ")
                for word in matches
                if word != matches[0] and "--syn" not in word and "--tcp-flags" not in word
            ]
    words += [
        need
        for need in needs
        if need not in protocol and not need.startswith("-p") and need.split()[-2] not in " ".join(words)
    ]
    head = protocol if not any(word.startswith(("-p", "! -p")) for word in words) else []
    if needs and needs[0].startswith("-p") and not any(word.startswith("-p") for word in [*head, *words]):
        head = needs
    words = [*head, *sorted(words, key=lambda word: "-m" in word)]
    if scene.choose.chance(45):
        words.append(extra_match(scene))
    text = " ".join([f"-A {chain}", *words, what])
    return Rule(text=text, tags=tags_of(text))


def xtable(scene: Scene, tool: str) -> XTable:
    """Return one table."""
    choose = scene.choose
    heads, rules = [], []
    if scene.table != "nat":
        for index in range(choose.number(0, 2)):
            name = f"SUB{index}"
            heads.append(f":{name} -")
            rules += [rule(scene, name) for _ in range(choose.number(1, 3))]
            scene.own.append(name)
    for chain in dict.fromkeys(choose.some(TABLES[scene.table], 1, 3)):
        policy = "DROP" if scene.table in ("filter", "mangle") and choose.chance(22) else "ACCEPT"
        heads.append(f":{chain} {policy}")
        rules += [rule(scene, chain) for _ in range(choose.number(1, 5))]
    return XTable(tool, scene.table, tuple(heads), tuple(rules))


def draw_simple_xtables(choose: Chooser, pools: Pools) -> tuple[tuple[XTable, ...], tuple[str, ...]]:
    """Return one table with one chain of a few rules, each with one match and a verdict, so that every match decides a lot."""
    version = choose.pick((4, 4, 6))
    tool = f"{'ip' if version == 4 else 'ip6'}tables-{choose.pick(('nft', 'legacy'))}-restore"
    table, chain = choose.pick(
        (("filter", "INPUT"), ("raw", "PREROUTING"), ("mangle", "PREROUTING"), ("filter", "OUTPUT"))
    )
    scene = Scene(choose, pools, version, table, chain)
    rules = []
    for _ in range(choose.number(1, 3)):
        words = [extra_match(scene)] if choose.chance(75) else protocol_matches(scene)
        rules.append(" ".join([f"-A {chain}", *words, choose.pick(("-j DROP", "-j ACCEPT"))]))
    rules.append(f"-A {chain} -j {choose.pick(('DROP', 'ACCEPT'))}")
    made = tuple(Rule(text, tags_of(text)) for text in rules)
    return (XTable(tool, table, (f":{chain} ACCEPT",), made),), tuple(scene.ipsets)


def draw_xtables(choose: Chooser, pools: Pools) -> tuple[tuple[XTable, ...], tuple[str, ...]]:
    """Return tables of one or both families, each with one back end, and the ipsets they need."""
    tables: list[XTable] = []
    ipsets: list[str] = []
    for version in choose.some((4, 6), 1, 2):
        backend = choose.tag({"nft": 6, "legacy": 5})
        tool = f"{'ip' if version == 4 else 'ip6'}tables-{backend}-restore"
        for name in choose.some(tuple(TABLES), 1, 3):
            scene = Scene(choose, pools, version, name)
            tables.append(xtable(scene, tool))
            ipsets += scene.ipsets
    return tuple(tables), tuple(ipsets)
