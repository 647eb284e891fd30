"""Lists in the running sensor, which opens no file: values, reputations, and what rules had kept, exchanged while it watches."""

import base64
import os
import signal

from tests.agent.test_traffic_end_to_end import CLIENT, SERVER, Site, holdfast, site

__all__ = ["site"]

RULES = (
    'alert http any any -> any any (msg:"HFT listed"; http.uri; dataset:isset,bad,type string,load ../lists/bad.lst; sid:9000011;)\n'
    'alert tcp any any -> any 80 (msg:"HFT rated"; iprep:src,CnC,>,30; flow:to_server; flags:S; sid:9000012;)\n'
    'alert http any any -> any any (msg:"HFT new"; http.uri; dataset:set,seen,type string,state seen.lst; sid:9000013;)\n'
    'alert http any any -> any any (msg:"HFT no"; http.uri; dataset:isset,no,type string,load no.lst; sid:9000014;)\n'
)


def said(one: Site) -> set[tuple[int, str]]:
    """Return rule and URL of every alert so far."""
    events = [each["event"] for each in one.agent.ask("events", kind="traffic.alert", limit=1000)]
    return {
        (event["fields"]["sid"], event["evidence"]["eve"].partition('"url":"')[2].partition('"')[0]) for event in events
    }


def test_lists_are_handed_over_exchanged_and_what_rules_filled_outlives_the_worker(site: Site) -> None:
    lists, reputation = site.rules.parent / "lists", site.rules.parent / "reputation"
    lists.mkdir()
    (lists / "bad.lst").write_bytes(base64.b64encode(b"/first") + b"\n")
    reputation.mkdir()
    (site.rules / "local.rules").write_text(RULES)
    (site.rules.parent / "categories.txt").write_text("1,CnC,servers that give orders\n")
    (reputation / "a.list").write_text(f"{CLIENT},1,20\n")
    agent = site.start(
        lists=f"[{lists}]", reputation=f"[{reputation}]", reputation_categories=f"{site.rules.parent}/categories.txt",
        repeat_after="1s",
    )  # fmt: skip
    loaded = agent.event("traffic.rules_loaded", 30)["fields"]
    assert (loaded["loaded"], loaded["refused"]) == (3, 1)
    assert "no.lst is not among the files of collectors.traffic.lists" in loaded["examples"][0]
    site.curl("/first")
    site.curl("/second")
    agent.until(lambda: {(9000011, "/first"), (9000013, "/first"), (9000013, "/second")} <= said(site), 30)
    assert not said(site) & {(9000011, "/second")} and not [sid for sid, _ in said(site) if sid == 9000012]

    # Both lists change while it watches.
    (lists / "bad.lst").write_bytes(base64.b64encode(b"/second") + b"\n")
    (reputation / "a.list").write_text(f"{CLIENT.rpartition('.')[0]}.0/24,1,90\n{SERVER},1,0\n")
    agent.until(lambda: agent.kinds().count("traffic.rules_loaded") >= 2, 30)
    agent.until(lambda: not site.curl("/second") and (9000011, "/second") in said(site), 30)
    # The client has a reputation now.
    agent.until(lambda: not site.curl("/second") and any(sid == 9000012 for sid, _ in said(site)), 30)

    # What rules filled comes back from the core: nothing is new to them but what is.
    before = [each for each in agent.ask("events", kind="traffic.alert", limit=1000)]
    pid = agent.worker("sensor")["pid"]
    count = agent.kinds().count("traffic.rules_loaded")
    os.kill(pid, signal.SIGTERM)
    agent.until(lambda: agent.kinds().count("traffic.rules_loaded") > count, 30)
    site.curl("/first")
    site.curl("/third")
    agent.until(lambda: (9000013, "/third") in said(site), 30)
    after = agent.ask("events", kind="traffic.alert", limit=1000)[len(before) :]
    assert not [one for one in after if '"url":"/first"' in one["event"]["evidence"]["eve"]], "it is known from before"
    assert '"loaded": 3' in holdfast(site, "traffic", "status", "--json").decode()


def test_a_list_that_is_too_large_or_goes_leaves_the_rules_in_use_and_is_told(site: Site) -> None:
    lists = site.rules.parent / "lists"
    lists.mkdir()
    (lists / "bad.lst").write_bytes(base64.b64encode(b"/first") + b"\n")
    (site.rules / "local.rules").write_text(RULES.splitlines(keepends=True)[0])
    agent = site.start(lists=f"[{lists}/bad.lst]")
    with (lists / "bad.lst").open("r+b") as file:
        file.truncate((64 << 20) + 1)
    event = agent.event("traffic.rules_not_loaded", 30)["fields"]
    assert "larger than 64 MiB" in event["detail"] and "the rules in use stay" in event["detail"]
    agent.until(lambda: "what newer rules describe" in str(agent.sight("traffic")["blind"]), 30)
    site.curl("/first")
    assert agent.event("traffic.alert", 30)["fields"]["sid"] == 9000011
