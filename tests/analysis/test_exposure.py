"""The judge of exposure: rows, and events that begin once and cease once. The evaluator is played here; the real one has its own tests."""

from collections.abc import Callable, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import exposure_events
from analysis.exposure import ExposureJudge
from analysis.firewall import reach as reach_module
from analysis.firewall.model import Datapath
from analysis.firewall.probe import Answer, Cause, Probe, Verdict
from analysis.firewall.reach import NOT_TRIED
from contracts.event import Severity
from contracts.exposure_picture import who
from contracts.subjects.datapath import Row, Vantage
from contracts.subjects.ports import Listener

SSH = Listener(protocol="tcp", family=4, address="0.0.0.0", port=22, scope="any", process="sshd")
WEB = Listener(protocol="tcp", family=6, address="::", port=80, scope="any", process="nginx", v6only=False)
LISTENERS = {"tcp/0.0.0.0:22": SSH, "tcp/[::]:80": WEB}
OPENED, CLOSED, UNSURE = "firewall.exposure_opened", "firewall.exposure_closed", "firewall.exposure_uncertain"
FIRST = "firewall.exposure_first_look"
NAMED_IN, NAMED_OUT = "firewall.exposure_opened_for", "firewall.exposure_closed_for"
RULE = Cause(what="rule", text="tcp dport 22 accept", family="inet", table="filter", chain="input", handle=4)


def json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def link(name: str, *addresses: str, flags: tuple[str, ...] = ("UP",)) -> Row:
    info = [
        {
            "family": "inet6" if ":" in each else "inet",
            "local": each,
            "prefixlen": 64 if ":" in each else 24,
            "scope": "global",
        }
        for each in addresses
    ]
    return Row(what="link", document=json({"ifname": name, "flags": flags, "addr_info": info}))


def route(destination: str, device: str, family: int = 4) -> Row:
    return Row(what="route", document=json({"dst": destination, "dev": device}), text=str(family))


def vantage(name: str, *sources: str, interface: str = "") -> Row:
    return Row(what="vantage", document=json(Vantage(name=name, sources=sources, interface=interface)))


WAYS = {
    "link lo": link("lo", "127.0.0.1", "::1", flags=("UP", "LOOPBACK")),
    "link eth0": link("eth0", "198.51.100.5", "2001:db8::5"),
    "link eth1": link("eth1", "10.1.0.1"),
    "route 4 default eth0": route("default", "eth0"),
    "route 6 default eth0": route("default", "eth0", 6),
    "route 4 10.1.0.0/24 eth1": route("10.1.0.0/24", "eth1"),
    "vantage internet": vantage("internet", "0.0.0.0/0", "::/0"),
    "vantage eth1 10.1.0.0/24": vantage("eth1 10.1.0.0/24", "10.1.0.0/24", interface="eth1"),
    "vantage loopback": vantage("loopback", "127.0.0.0/8", "::1/128", interface="lo"),
}

Rule = Callable[[Probe], Answer]


class Answers:
    """The evaluator's answers, as given."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = answers

    def verdicts(self) -> tuple[Verdict, ...]:
        return tuple(answer.verdict for answer in self._answers)

    def answer(self, number: int, steps: bool = True) -> Answer:
        return self._answers[number]


class World:
    """What the evaluator is made to say, and the bench that judges it."""

    def __init__(self, bench) -> None:
        self.bench = bench
        self.ways, self.listeners = dict(WAYS), dict(LISTENERS)
        self.open: set[tuple[str, int]] = set()
        self.unsure: set[tuple[str, int]] = set()
        self.forwarded: dict[int, str] = {}

    def evaluate(self, datapath: Datapath, probes: Sequence[Probe]) -> Answers:
        answers = [self.answer(probe) for probe in probes]
        return Answers(answers)

    def answer(self, probe: Probe) -> Answer:
        where = (probe.interface, probe.port)
        if where in self.unsure:
            return Answer(verdict=Verdict.UNCERTAIN, unknown=("limit rate 3/minute",))
        if probe.interface and where not in self.open:
            return Answer(verdict=Verdict.BLOCKED, causes=(Cause(what="policy", text="policy drop"),))
        if probe.port in self.forwarded:
            return Answer(
                verdict=Verdict.REACHABLE,
                causes=(RULE,),
                forwarded=True,
                destination=self.forwarded[probe.port],
                port=80,
            )
        return Answer(verdict=Verdict.REACHABLE, causes=(RULE,), destination=probe.destination, port=probe.port)

    @property
    def blind(self) -> list[str]:
        return [spot.what for spot in self.bench.judging._last.blind]

    def judge(self, now_ms: int = 1_000) -> list[str]:
        state = Row(what="object", text=f"{sorted(self.open)} {sorted(self.unsure)} {self.forwarded}")
        return self.bench.judge(
            {"datapath": {**self.ways, "object ip t played": state}, "ports": self.listeners}, now_ms=now_ms
        )

    def row(self, key: str):
        return self.bench.before.rows[key]

    @property
    def last(self):
        return self.bench.events[-1]


@pytest.fixture
def world(court, monkeypatch) -> World:
    made = World(court(ExposureJudge()))
    monkeypatch.setattr(reach_module, "evaluate", made.evaluate)
    return made


def test_before_both_subjects_were_looked_at_nothing_is_said(court) -> None:
    bench = court(ExposureJudge())
    assert bench.judge({"datapath": None, "ports": LISTENERS}) == []
    assert bench.judge({"datapath": WAYS, "ports": None}) == []
    assert bench.before.rows == {}


def test_the_first_look_is_one_event_that_sums_up(world) -> None:
    world.open = {("eth0", 22)}
    assert world.judge() == [FIRST]
    assert world.last.fields["listeners"] == 2
    assert world.last.fields["reachable"] == 1
    assert world.last.fields["examples"] == ["22/tcp sshd from internet"]
    assert world.judge() == []


def test_rows_tell_who_reaches_what_and_by_which_rule(world) -> None:
    world.open = {("eth0", 22)}
    world.judge(now_ms=5)
    row = world.row("internet tcp 198.51.100.5 22")
    assert (row.verdict, row.chain, row.handle, row.why) == ("reachable", "inet filter input", 4, "tcp dport 22 accept")
    assert (row.process, row.listener, row.interface, row.since_ms) == ("sshd", "tcp/0.0.0.0:22", "eth0", 5)
    assert world.row("internet tcp 2001:db8::5 80").verdict == "blocked"
    assert world.row("eth1 10.1.0.0/24 tcp 10.1.0.1 80").why == "policy drop"
    assert world.row("loopback tcp 127.0.0.1 22").verdict == "reachable"
    assert "internet tcp 2001:db8::5 22" not in world.bench.before.rows


def test_opening_and_closing_are_stated_once_per_listener_and_vantage(world) -> None:
    world.judge()
    world.open = {("eth0", 80)}
    assert world.judge(now_ms=7) == [OPENED]
    told = world.last
    assert (told.severity, told.key) == (Severity.HIGH, "internet tcp/[::]:80")
    assert told.fields["families"] == ["IPv4", "IPv6"]
    assert (told.fields["process"], told.fields["vantage"], told.fields["handle"]) == ("nginx", "internet", 4)
    assert world.judge(now_ms=8) == []
    assert world.row("internet tcp 2001:db8::5 80").since_ms == 7
    world.open = set()
    assert world.judge() == [CLOSED]
    assert (world.last.severity, world.last.fields["why"]) == (Severity.INFORMATIONAL, "policy drop")


def test_from_an_attached_network_it_weighs_less(world) -> None:
    world.judge()
    world.open = {("eth1", 22)}
    assert world.judge() == [OPENED]
    assert world.last.severity is Severity.MEDIUM


def test_a_second_family_that_opens_is_stated_too(world) -> None:
    world.listeners = {"tcp/0.0.0.0:80": msgspec.structs.replace(WEB, family=4, address="0.0.0.0")}
    world.judge()
    world.open = {("eth0", 80)}
    assert world.judge() == [OPENED]
    world.listeners["tcp/0.0.0.0:80"] = WEB
    assert world.judge() == [OPENED]
    assert world.last.fields["families"] == ["IPv6"]


def test_a_new_listener_that_can_be_reached_is_stated_and_its_end_too(world) -> None:
    world.judge()
    world.open = {("eth0", 8080)}
    world.listeners["tcp/0.0.0.0:8080"] = msgspec.structs.replace(SSH, port=8080, process="python3")
    assert world.judge() == [OPENED]
    del world.listeners["tcp/0.0.0.0:8080"]
    assert world.judge() == [CLOSED]
    assert world.last.fields["why"].startswith("nothing listens there")


def test_what_this_host_reaches_of_itself_is_no_event(world) -> None:
    world.judge()
    world.listeners["tcp/127.0.0.1:5432"] = msgspec.structs.replace(SSH, address="127.0.0.1", port=5432)
    assert world.judge() == []
    assert world.row("loopback tcp 127.0.0.1 5432").verdict == "reachable"


def test_uncertain_never_reads_as_closed(world) -> None:
    world.open = {("eth0", 22)}
    world.judge(now_ms=5)
    world.unsure = {("eth0", 22)}
    assert world.judge(now_ms=9) == []
    row = world.row("internet tcp 198.51.100.5 22")
    assert (row.verdict, row.unknown, row.since_ms) == ("reachable", ("limit rate 3/minute",), 5)
    world.unsure = set()
    assert world.judge() == []
    assert world.row("internet tcp 198.51.100.5 22").unknown == ()
    world.unsure, world.open = {("eth0", 22)}, set()
    assert world.judge() == []
    world.unsure = set()
    assert world.judge() == [CLOSED]


def test_what_was_blocked_and_becomes_uncertain_is_stated_and_its_end_too(world) -> None:
    world.judge()
    world.unsure = {("eth0", 22)}
    assert world.judge() == [UNSURE]
    assert world.last.fields["unknown"] == ["limit rate 3/minute"]
    world.unsure = set()
    assert world.judge() == [CLOSED]
    world.unsure = {("eth0", 22)}
    world.judge()
    world.unsure, world.open = set(), {("eth0", 22)}
    assert world.judge() == [OPENED]


def test_links_that_could_not_be_read_close_nothing(world) -> None:
    world.open = {("eth0", 22), ("eth0", 80)}
    world.judge()
    for key in ("link lo", "link eth0", "link eth1"):
        del world.ways[key]
    world.ways["link"] = Row(what="link", unread="ip did not answer within 30 s")
    kinds = world.judge()
    assert CLOSED not in kinds
    row = world.row("internet tcp 198.51.100.5 22")
    assert row.verdict == "reachable"
    assert "ip did not answer" in row.unknown[0]
    assert world.row("eth1 10.1.0.0/24 tcp 10.1.0.1 22").verdict == "uncertain"
    world.ways = dict(WAYS)
    assert OPENED not in world.judge()


def test_a_vantage_that_is_new_is_summed_up_and_not_told_listener_by_listener(world) -> None:
    del world.ways["vantage eth1 10.1.0.0/24"]
    world.open = {("eth0", 22), ("eth1", 22)}
    world.judge()
    world.ways = dict(WAYS)
    assert world.judge() == [FIRST]
    assert world.last.fields["vantages"] == ["network eth1"]


def test_who_alone_is_let_in_is_stated_and_its_end_too(world, monkeypatch) -> None:
    named: list[str] = []
    monkeypatch.setattr(reach_module, "_exceptions", lambda *_: dict.fromkeys(range(99), tuple(named)))
    world.listeners = {"tcp/0.0.0.0:22": LISTENERS["tcp/0.0.0.0:22"]}

    def judged(*names: str, is_open: bool = False) -> list[str]:
        named[:] = names
        world.forwarded = {9: " ".join(names)}  # the rules have changed
        world.open = {("eth0", 22), ("eth1", 22)} if is_open else set()
        return world.judge()

    judged()
    office, port = "203.0.113.0/24 reachable", "source port 53 reachable"
    assert (
        judged(office, "192.0.2.0/24 uncertain") == [NAMED_IN] * 2
    )  # from the internet, and from the attached network
    told = next(event for event in world.bench.events if event.kind == NAMED_IN and event.key.startswith("internet"))
    assert (told.fields["named"], told.severity) == (["203.0.113.0/24"], Severity.MEDIUM)
    assert judged(office) == []
    assert judged(office, port) == [NAMED_IN] * 2
    assert {event.severity for event in world.bench.events[-2:]} == {
        Severity.HIGH,
        Severity.MEDIUM,
    }  # anybody chooses it
    assert judged(NOT_TRIED) == []  # not being tried closes nothing
    judged(office)
    assert judged(office, is_open=True) == [OPENED] * 2  # for everybody: nobody is named besides
    assert judged(is_open=False) == [CLOSED] * 2
    judged(office)
    assert judged() == [NAMED_OUT] * 2


def test_very_many_at_once_are_one_event(world) -> None:
    world.judge()
    for port in range(1000, 1030):
        world.listeners[f"tcp/0.0.0.0:{port}"] = msgspec.structs.replace(SSH, port=port)
        world.open.add(("eth0", port))
    assert world.judge() == ["firewall.many_exposures_opened"]
    assert (world.last.severity, world.last.fields["listeners"]) == (Severity.HIGH, 30)
    world.open.clear()
    assert world.judge() == ["firewall.many_exposures_closed"]


def test_a_client_that_waits_for_an_answer_does_not_count_until_it_has_settled(world) -> None:
    world.judge()
    world.open = {("eth0", 41000)}
    client = Listener(protocol="udp", family=4, address="0.0.0.0", port=41000, ephemeral=True)
    world.listeners["udp/0.0.0.0:41000"] = client
    assert world.judge() == []
    world.listeners["udp/0.0.0.0:41000"] = msgspec.structs.replace(client, settled=True)
    assert world.judge() == [OPENED]


def test_a_vantage_that_leads_nowhere_is_a_blind_spot(world, court) -> None:
    world.ways["vantage vpn"] = vantage("vpn", "10.9.0.0/16", interface="wg0")
    view = []

    class Keeping(ExposureJudge):
        def judge(self, seen, before):
            report = super().judge(seen, before)
            view.append(report)
            return report

    court(Keeping()).judge({"datapath": world.ways, "ports": world.listeners})
    assert [spot.what for spot in view[0].blind] == ["exposure from vpn over IPv4"]


def test_a_ban_that_comes_or_goes_asks_nobody_and_a_rule_that_changes_does(world) -> None:
    calls = []
    inner = world.evaluate
    reach_module.evaluate = lambda *given: calls.append(1) or inner(*given)
    world.ways["set inet holdfast_block banned4"] = Row(what="set", document='{"elem":[]}')
    world.judge()
    calls.clear()
    world.ways["set inet holdfast_block banned4"] = Row(what="set", document='{"elem":["203.0.113.9"]}')
    assert world.judge() == []
    assert calls == []
    world.ways["set inet filter banned"] = Row(what="set", document='{"elem":["203.0.113.9"]}')
    world.judge()
    assert calls


def test_rows_that_were_lost_are_concluded_anew(world) -> None:
    world.judge()
    held = dict(world.bench.before.rows)
    world.bench.before = type(world.bench.before)(subject="exposure")
    assert world.judge() == [FIRST]
    assert world.bench.before.rows == held


def test_more_than_can_be_judged_leaves_out_networks_and_closes_nothing(world, monkeypatch) -> None:
    world.open = {("eth0", 22), ("eth1", 22)}
    world.judge()
    monkeypatch.setattr(reach_module, "MOST_AIMS", 5)
    world.listeners["tcp/0.0.0.0:9"] = msgspec.structs.replace(SSH, port=9)
    assert CLOSED not in world.judge()
    row = world.row("eth1 10.1.0.0/24 tcp 10.1.0.1 22")
    assert (row.verdict, row.unknown) == ("reachable", ("not judged this time: too many listeners and networks",))
    assert world.row("internet tcp 198.51.100.5 9").verdict == "blocked"
    assert world.blind == ["exposure from 1 further networks"]


STATES = st.fixed_dictionaries(
    {
        "open": st.sets(st.tuples(st.sampled_from(["eth0", "eth1"]), st.sampled_from([22, 80]))),
        "unsure": st.sets(st.tuples(st.sampled_from(["eth0", "eth1"]), st.sampled_from([22, 80]))),
        "listeners": st.sets(st.sampled_from(sorted(LISTENERS)), min_size=1),
    }
)


@given(st.lists(STATES, min_size=1, max_size=10))
@settings(deadline=None, max_examples=60)
def test_openings_and_closings_alternate_whatever_happens(court, history) -> None:
    world = World(court(ExposureJudge()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reach_module, "evaluate", world.evaluate)
        world.judge()
        for state in history:
            world.open, world.unsure = state["open"], state["unsure"]
            world.listeners = {key: LISTENERS[key] for key in state["listeners"]}
            world.judge()
            held: dict[str, set[str]] = {}
            for event in world.bench.events:
                families = set(event.fields.get("families", ()))
                if event.kind == OPENED:
                    assert not held.setdefault(event.key, set()) & families
                    held[event.key] |= families
                elif event.kind == CLOSED:
                    held[event.key] = held.get(event.key, set()) - families
            told = {(key, family) for key, families in held.items() for family in families}
            holds = {
                (f"{who(row)} {row.listener}", f"IPv{row.family}")
                for row in world.bench.before.rows.values()
                if row.interface and row.verdict == "reachable"
            }
            assert told == holds


def test_every_kind_that_is_made_is_declared() -> None:
    declared = {kind.name for kind in ExposureJudge.kinds}
    assert declared == {
        value.name for value in vars(exposure_events).values() if isinstance(value, exposure_events.Kind)
    }
