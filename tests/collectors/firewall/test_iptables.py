"""iptables and ip6tables, nft and legacy, against the real kernel."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.firewall.iptables import parse
from contracts.errors import Malformed, Unavailable, Why
from contracts.host import Completed


def test_changed_arguments_of_a_match_are_seen_although_nft_prints_the_same(netns, looks) -> None:
    recent = ("-p", "tcp", "--dport", "22", "-m", "recent", "--name", "ssh", "--rcheck", "-j", "DROP")
    netns.run("iptables-nft", "-A", "INPUT", *recent[:8], "--seconds", "60", *recent[8:])
    looks.again()
    before = netns.run("nft", "-j", "list", "ruleset")
    netns.run("iptables-nft", "-R", "INPUT", "1", *recent[:8], "--seconds", "61", *recent[8:])
    after = netns.run("nft", "-j", "list", "ruleset")
    assert _without_handles(before) == _without_handles(after)
    events = {event.kind: event.fields["rule"] for event in looks.again().events}
    assert "--seconds 61" in events["firewall.rule_added"]
    assert "--seconds 60" in events["firewall.rule_removed"]


def _without_handles(text: str) -> str:
    import re

    return re.sub(r'"handle": \d+', "", text)


def test_both_families_are_joined_and_in_iptables_words(netns, looks) -> None:
    netns.run("iptables-nft", "-A", "INPUT", "-m", "comment", "--comment", 'say "hi"', "-j", "ACCEPT")
    netns.run("ip6tables-nft", "-P", "INPUT", "DROP")
    netns.run("ip6tables-nft", "-A", "INPUT", "-m", "string", "--algo", "bm", "--string", "evil", "-j", "REJECT")
    assert looks.again().blind == ()
    assert looks.summary.backends == ("iptables-nft",)
    assert (looks.summary.policy4, looks.summary.policy6) == ("accept", "drop")
    assert any("--string" in rule for rule in looks.rules())
    assert any('say \\\\"hi\\\\"' in rule for rule in looks.rules())


def test_a_comment_that_is_not_utf8_is_carried(netns, looks) -> None:
    import subprocess

    argv = [b"nsenter", f"--net=/run/netns/{netns.name}".encode(), b"iptables-nft", b"-A", b"INPUT"]
    subprocess.run([*argv, b"-m", b"comment", b"--comment", b"caf\xe9\nline", b"-j", b"DROP"], check=True)
    assert looks.again().blind == ()
    assert any("caf\\xe9" in rule for rule in looks.rules())


def test_a_log_prefix_with_a_lone_quote_is_no_trouble(netns, looks) -> None:
    netns.run("iptables-nft", "-A", "INPUT", "-j", "LOG", "--log-prefix", 'a"b ')
    netns.run("iptables-nft", "-A", "INPUT", "-p", "tcp", "-j", "DROP")
    assert looks.again().blind == ()
    assert len(looks.rules()) == 2


def test_an_incompatible_table_is_a_blind_spot_and_its_rules_are_still_shown(netns, looks) -> None:
    netns.run("iptables-nft", "-A", "INPUT", "-m", "recent", "--name", "x", "--set")
    netns.run("nft", "add", "rule", "ip", "filter", "INPUT", "ct", "state", "{", "new", "}", "accept")
    answer = netns.ask("iptables-nft-save")
    assert answer.code == 0
    assert b"incompatible" in answer.stdout + answer.stderr
    (blind,) = looks.again().blind
    assert blind.why is Why.INCOMPATIBLE
    assert "ip filter" in blind.what
    assert blind.fix
    assert looks.summary.incompatible == ("ip filter",)
    assert "ct state new accept" in looks.rules()


def test_an_incompatible_table_without_matches_of_iptables_is_said_too(netns, looks) -> None:
    netns.run("iptables-nft", "-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT")
    netns.run("nft", "add", "rule", "ip", "filter", "INPUT", "ct", "state", "{", "new", "}", "accept")
    assert [blind.why for blind in looks.again().blind] == [Why.INCOMPATIBLE]
    assert len(looks.rules()) == 2


@pytest.mark.parametrize("rule", ["tcp dport { 22, 80 } accept", "meta skuid 0 accept", "tcp dport 22 accept"])
def test_a_rule_that_iptables_misstates_is_shown_as_nft_states_it(netns, looks, rule: str) -> None:
    netns.run("iptables-nft", "-P", "INPUT", "DROP")
    netns.run("iptables-nft", "-A", "INPUT", "-p", "tcp", "--dport", "25", "-j", "ACCEPT")
    netns.nft(f"add rule ip filter INPUT {rule}")
    looks.again()
    assert any(text.startswith(rule) or text.startswith("-p tcp -m tcp --dport 22") for text in looks.rules())
    assert looks.summary.filtering4 == "closed"
    netns.nft(f"flush chain ip filter INPUT\nadd rule ip filter INPUT {rule.replace('2', '3').replace('0', '1')}")
    assert looks.kinds().count("rule_removed") == 2


def test_a_table_of_nft_that_merely_bears_an_iptables_name_is_seen_whole(netns, looks) -> None:
    netns.nft(
        "table ip filter { chain input { type filter hook input priority 0; policy drop; tcp dport { 1, 2 } accept; }; }"
    )
    assert looks.again().blind == ()
    assert looks.summary.backends == ("nftables",)
    assert looks.rules() == ["tcp dport { 1, 2 } accept"]


def test_without_the_save_tool_the_arguments_are_said_to_be_unseen(netns, looks) -> None:
    netns.run("iptables-nft", "-A", "INPUT", "-m", "recent", "--name", "x", "--set")
    netns.broken["iptables-nft-save"] = Unavailable(Why.TOOL_MISSING, "iptables-nft-save is not installed")
    (blind,) = looks.again().blind
    assert blind.why is Why.TOOL_MISSING
    assert "arguments" in blind.what


@pytest.mark.parametrize("tool", ["iptables-nft-save", "iptables-legacy-save"])
def test_a_tool_that_may_not_be_run_is_said_before_it_is_needed(netns, looks, tool: str) -> None:
    netns.broken[tool] = Unavailable(Why.PERMISSION, f"/usr/sbin/{tool} may not be executed")
    (blind,) = looks.again().blind
    assert blind.why is Why.PERMISSION
    assert tool in blind.what


@pytest.mark.parametrize("tool", ["iptables-nft-save", "iptables-legacy-save"])
def test_a_tool_that_is_not_installed_takes_nothing_away_without_its_tables(netns, looks, tool: str) -> None:
    netns.broken[tool] = Unavailable(Why.TOOL_MISSING, f"{tool} is not installed")
    assert looks.again().blind == ()


def test_a_save_tool_that_keeps_disagreeing_with_nft_is_not_believed(netns, looks) -> None:
    netns.run("iptables-nft", "-A", "INPUT", "-j", "DROP")
    stale = b"*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"
    netns.broken["iptables-nft-save"] = Completed(argv=(), code=0, stdout=stale, stderr=b"")
    with pytest.raises(Unavailable) as caught:
        looks.again()
    assert caught.value.why is Why.MALFORMED


def test_legacy_tables_are_seen_although_nft_knows_nothing_of_them(netns, looks) -> None:
    netns.run("iptables-legacy", "-P", "INPUT", "DROP")
    netns.run("ip6tables-legacy", "-A", "INPUT", "-p", "tcp", "--dport", "23", "-j", "DROP")
    assert netns.run("nft", "list", "ruleset") == ""
    assert looks.again().blind == ()
    assert looks.summary.backends == ("iptables-legacy",)
    assert (looks.summary.filtering4, looks.summary.filtering6) == ("closed", "partial")
    assert (looks.summary.rules4, looks.summary.rules6) == (0, 1)


def test_turning_to_legacy_is_a_change_of_backend(netns, looks) -> None:
    netns.run("iptables-nft", "-A", "INPUT", "-j", "DROP")
    looks.again()
    netns.run("iptables-nft", "-F")
    netns.run("iptables-nft", "-X")
    netns.run("nft", "flush", "ruleset")
    netns.run("iptables-legacy", "-A", "INPUT", "-j", "DROP")
    assert "backend_changed" in looks.kinds()
    assert looks.summary.backends == ("iptables-legacy",)


def test_an_unreadable_list_of_legacy_tables_is_not_none(netns, looks) -> None:
    netns.run("iptables-legacy", "-A", "INPUT", "-p", "tcp", "--dport", "23", "-j", "DROP")
    looks.again()
    for family in ("ip", "ip6"):
        netns.overlay[f"/proc/net/{family}_tables_names"] = Unavailable(Why.PERMISSION, "may not be read")
    report = looks.again()
    assert [blind.why for blind in report.blind] == [Why.PERMISSION, Why.PERMISSION]
    assert all("CAP_NET_RAW" in blind.fix for blind in report.blind)
    assert report.events == ()
    assert looks.rules() == ["-p tcp -m tcp --dport 23 -j DROP"]
    assert looks.summary.filtering4 == "partial"


def test_the_real_tool_without_cap_net_raw_is_a_blind_spot_not_none(netns, looks) -> None:
    netns.run("iptables-legacy", "-A", "INPUT", "-j", "DROP")
    caps = ("--inh-caps", "-all,+net_admin", "--ambient-caps", "-all,+net_admin", "--bounding-set", "-all,+net_admin")
    netns.wrapper = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *caps)
    report = looks.again()
    assert [(blind.what, blind.why) for blind in report.blind if "iptables-legacy" in blind.what] == [
        ("the tables of iptables-legacy", Why.PERMISSION)
    ]


def test_a_legacy_tool_that_is_missing_is_a_blind_spot(netns, looks) -> None:
    netns.overlay["/proc/net/ip_tables_names"] = b"filter\n"
    netns.broken["iptables-legacy-save"] = Unavailable(Why.TOOL_MISSING, "iptables-legacy-save is not installed")
    assert [blind.why for blind in looks.again().blind] == [Why.TOOL_MISSING]


def test_a_legacy_tool_that_leaves_a_table_out_is_a_blind_spot(netns, looks) -> None:
    netns.overlay["/proc/net/ip_tables_names"] = b"filter\nnat\n"
    netns.broken["iptables-legacy-save"] = Completed(argv=(), code=0, stdout=b"", stderr=b"")
    assert [blind.why for blind in looks.again().blind] == [Why.PERMISSION]


def test_looking_does_not_load_legacy_tables(netns, looks) -> None:
    looks.again()
    assert netns.read("/proc/net/ip_tables_names") == b""


def test_docker_is_known_by_its_chains(netns, looks, fixtures) -> None:
    netns.run("iptables-nft-restore", stdin=(fixtures / "docker.v4").read_bytes())
    assert looks.again().blind == ()
    assert looks.summary.makers == ("docker",)
    assert looks.summary.filtering4 == "open"
    assert any("--to-destination 172.17.0.2:80" in rule for rule in looks.rules())


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=200)


@given(WORDS)
@settings(max_examples=200, deadline=None)
def test_any_text_parses_or_is_malformed(text: str) -> None:
    try:
        parse(text)
    except Malformed:
        pass


def test_rules_and_policies_by_table_and_chain() -> None:
    saved = parse(
        '*filter\n:INPUT DROP [1:2]\n:a b - [0:0]\n-A INPUT -m comment --comment "x\\\\"\ny" -j DROP\n-A a b -j RETURN\nCOMMIT\n'
    )
    assert saved.policies == {"filter": {"INPUT": "DROP", "a b": "-"}}
    assert saved.rules["filter"]["a b"] == ["-j RETURN"]
    assert len(saved.rules["filter"]["INPUT"]) == 1


def test_both_wordings_of_incompatible_are_understood() -> None:
    text = "# Table `nat' is incompatible, use 'nft' tool.\n"
    text += "# Table `filter' contains incompatible base-chains, use 'nft' tool to list them.\n"
    assert parse(text).incompatible == ("nat", "filter")


def test_the_workers_capabilities_are_enough_to_see_everything(netns, looks) -> None:
    netns.run("iptables-nft", "-A", "INPUT", "-m", "recent", "--name", "x", "--set")
    netns.run("iptables-legacy", "-A", "INPUT", "-j", "DROP")
    netns.run("ip6tables-legacy", "-A", "INPUT", "-j", "DROP")
    held = "-all,+net_admin,+net_raw,+dac_read_search"
    caps = ("--inh-caps", held, "--ambient-caps", held, "--bounding-set", held)
    netns.wrapper = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs", *caps)
    assert looks.again().blind == ()
    assert looks.summary.backends == ("iptables-legacy", "iptables-nft")
    assert looks.summary.rules == 3
