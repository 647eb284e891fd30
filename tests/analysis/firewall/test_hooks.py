"""Base chains of one hook: by priority, across tables and families, and in any order where nobody knows it."""

from analysis.firewall.probe import Verdict
from tests.analysis.firewall.datapaths import ACCEPT, DROP, ask, base, datapath, field, match, probe, table, verdicts

MARK = {"mangle": {"key": field("meta mark"), "value": 1}}
MARKED = match("meta mark", 1)


def two(first: int, second: int, *, family: str = "inet") -> Verdict:
    """One chain marks, another drops what is marked."""
    marking = table("a", {"c": (base("input", first), [[MARK]])})
    dropping = table("b", {"c": (base("input", second), [[MARKED, DROP]])}, family=family)
    return ask(datapath(marking, dropping), probe()).verdict


def test_the_smaller_priority_goes_first_whatever_the_family() -> None:
    for family in ("inet", "ip"):
        assert two(-5, 0, family=family) is Verdict.BLOCKED
        assert two(5, 0, family=family) is Verdict.REACHABLE


def test_equal_priorities_in_two_tables_are_undecided_where_it_matters() -> None:
    assert two(0, 0) is Verdict.UNCERTAIN
    assert two(0, 0, family="ip6") is Verdict.REACHABLE


def test_the_order_on_which_an_answer_hangs_is_named() -> None:
    marking = table("a", {"c": (base("input"), [[MARK]])})
    dropping = table("b", {"c": (base("input"), [[MARKED, DROP]])})
    looking = table("c", {"c": (base("input"), [[match("tcp dport", 81), DROP]])})
    made = datapath(marking, dropping, looking)
    assert ask(made, probe()).unknown == ("the order of chains of equal priority: inet a c, inet b c, inet c c",)
    assert ask(made, probe(81)).verdict is Verdict.BLOCKED


def test_an_order_that_matters_to_a_later_chain_alone_is_named_too() -> None:
    other = {"mangle": {"key": field("meta mark"), "value": 2}}
    one, two = (table(name, {"c": (base("input"), [[mark]])}) for name, mark in (("a", MARK), ("b", other)))
    later = table("c", {"c": (base("input", 10), [[MARKED, DROP]])})
    answer = ask(datapath(one, two, later), probe())
    assert answer.verdict is Verdict.UNCERTAIN
    assert answer.unknown == (
        "the order of chains of equal priority: inet a c, inet b c",
        "meta mark in inet c: rule 2",
    )


def test_equal_priorities_in_one_table_run_the_later_chain_first() -> None:
    later = table("a", {"first": (base("input"), [[MARKED, DROP]]), "second": (base("input"), [[MARK]])})
    assert ask(datapath(later), probe()).verdict is Verdict.BLOCKED
    earlier = table("a", {"first": (base("input"), [[MARK]]), "second": (base("input"), [[MARKED, DROP]])})
    assert ask(datapath(earlier), probe()).verdict is Verdict.REACHABLE


def test_the_order_of_many_chains_that_change_things_is_named() -> None:
    parts = [table(f"t{number}", {"c": (base("input"), [[MARK]])}) for number in range(8)]
    answer = ask(datapath(*parts), probe())
    assert answer.verdict is Verdict.UNCERTAIN
    assert "equal priority" in " ".join(answer.unknown)


def test_chains_that_only_look_need_no_order() -> None:
    parts = [table(f"t{number}", {"c": (base("input"), [[match("tcp dport", 80), ACCEPT]])}) for number in range(9)]
    assert ask(datapath(*parts), probe()).verdict is Verdict.REACHABLE


def test_a_drop_anywhere_ends_what_another_table_accepted() -> None:
    accepting = table("a", {"c": (base("input", -10), [[ACCEPT]])})
    dropping = table("b", {"c": (base("input", 10), [[match("tcp dport", 80), DROP]])}, family="ip")
    assert verdicts(datapath(accepting, dropping), [probe(80), probe(81)]) == (Verdict.BLOCKED, Verdict.REACHABLE)


def arp(*rules: object, policy: str = "accept") -> object:
    return table("a", {"c": (base("input", 0, policy), list(rules))}, family="arp")


def test_a_chain_of_arp_that_may_drop_keeps_neighbours_from_finding_this_host() -> None:
    for chain in (arp(policy="drop"), arp([DROP])):
        answer = ask(datapath(chain), probe())
        assert answer.verdict is Verdict.UNCERTAIN
        assert answer.unknown == ("chain arp a c (who has which link address)",)
        assert ask(datapath(chain), probe(source="2001:db8:77::7")).verdict is Verdict.REACHABLE


def test_a_chain_of_arp_that_drops_nothing_is_left_alone() -> None:
    assert ask(datapath(arp()), probe()).verdict is Verdict.REACHABLE
