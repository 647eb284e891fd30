"""The watcher passes on what netlink tells, and asks legacy iptables from time to time."""

import threading
import time

import pytest

from collectors.firewall import watcher
from collectors.firewall.collector import Options
from collectors.firewall.watcher import FirewallWatcher
from contracts.errors import Unavailable, Why
from contracts.host import Committer, RulesetChange


class Emitted:
    """Notes what a watcher says."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.gaps: list[str] = []
        self.spots: tuple = ()
        self.events: list = []

    def event(self, event) -> None:
        self.events.append(event)

    def changed(self, subject: str) -> None:
        self.changes.append(subject)

    def gap(self, reason: str, seconds: float) -> None:
        self.gaps.append(reason)

    def blind(self, spots) -> None:
        self.spots = spots


def test_every_notice_asks_for_both_looks_and_an_overflow_is_a_gap(netns) -> None:
    netns.notices = [RulesetChange(word="changed"), RulesetChange(word="overflow")]
    said = Emitted()
    FirewallWatcher(Options()).watch(netns, said, threading.Event())
    assert said.changes == ["firewall", "datapath"] * 2
    assert len(said.gaps) == 1
    assert said.events == []


def test_elements_that_come_and_go_ask_for_few_looks_at_the_datapath(netns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "ELEMENTS_EVERY_S", 1.0)
    netns.monotonic = lambda: 1000.0  # all of them come at one moment
    netns.notices = [RulesetChange(word="changed", elements=True)] * 5
    said = Emitted()
    FirewallWatcher(Options()).watch(netns, said, threading.Event())
    assert said.changes.count("firewall") == 5
    assert said.changes[:2] == ["firewall", "datapath"], "at once, because none was asked for before"
    _until(lambda: said.changes.count("datapath") == 2)
    time.sleep(1.3)
    assert said.changes.count("datapath") == 2, "and once more for all that came since"


def test_a_change_of_rules_does_not_wait_for_elements(netns) -> None:
    netns.notices = [RulesetChange(word="changed", elements=True)] * 2 + [RulesetChange(word="changed")]
    said = Emitted()
    FirewallWatcher(Options()).watch(netns, said, threading.Event())
    assert said.changes[-1] == "datapath"


def test_whoever_committed_is_one_event_for_each_burst(netns) -> None:
    mine = Committer(pid=7, process="nft", own=True)
    theirs = Committer(pid=9, process="nft", user="root", login="alice", parents=("bash", "sshd"))
    netns.notices = [RulesetChange(word="changed", committers=(mine, theirs)), RulesetChange(word="changed")]
    said = Emitted()
    FirewallWatcher(Options()).watch(netns, said, threading.Event())
    (event,) = said.events
    assert event.kind == "firewall.ruleset_committed"
    assert event.fields["by"] == "nft (pid 9), run by root from sshd session of alice"
    assert event.fields["others"] == ["nft (pid 7)"]


def test_a_change_of_legacy_rules_is_noticed_by_asking(netns) -> None:
    stop, said = threading.Event(), Emitted()
    netns.run("iptables-legacy", "-A", "INPUT", "-j", "DROP")
    netns.ruleset_changes = lambda stop: iter(lambda: stop.wait(5) or None, True)
    watcher = FirewallWatcher(Options(legacy_every=0.05))
    thread = threading.Thread(target=watcher.watch, args=(netns, said, stop))
    thread.start()
    _until(lambda: said.spots)
    assert "as they happen" in said.spots[0].what
    before = len(said.changes)
    netns.run("iptables-legacy", "-F", "INPUT")
    _until(lambda: len(said.changes) > before)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


def test_legacy_that_cannot_be_asked_is_a_blind_spot(netns) -> None:
    stop, said = threading.Event(), Emitted()
    netns.overlay["/proc/net/ip_tables_names"] = Unavailable(Why.PERMISSION, "may not be read")
    netns.ruleset_changes = lambda stop: iter(lambda: stop.wait(5) or None, True)
    thread = threading.Thread(target=FirewallWatcher(Options()).watch, args=(netns, said, stop))
    thread.start()
    _until(lambda: said.spots)
    stop.set()
    thread.join(30)
    assert said.spots[0].why is Why.PERMISSION


def test_without_netlink_it_cannot_watch_and_leaves_no_thread(netns) -> None:
    def refused(stop):
        raise Unavailable(Why.PERMISSION, "netlink refused")

    netns.ruleset_changes = refused
    with pytest.raises(Unavailable):
        FirewallWatcher(Options()).watch(netns, Emitted(), threading.Event())
    assert not [thread for thread in threading.enumerate() if thread.name == "firewall-legacy"]


def _until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_our_own_bans_are_not_told_again_and_what_others_ban_is(netns) -> None:
    mine, other = Committer(pid=7, process="python", own=True), Committer(pid=8, process="fail2ban-server")
    netns.notices = [
        RulesetChange(word="changed", elements=True, committers=(mine,)),
        RulesetChange(word="changed", elements=True, committers=(other,)),
        RulesetChange(word="changed", committers=(mine,)),
    ]
    said = Emitted()
    FirewallWatcher(Options()).watch(netns, said, threading.Event())
    assert [event.fields["pid"] for event in said.events] == [8, 7]
