"""The page of one server, and its firewall page."""

from console.store.records import FindingKind
from contracts.coverage import Sight
from contracts.event import Lane, Severity
from contracts.subjects import firewall, integrity, ports
from contracts.wire import LaneState


def test_the_page_shows_every_listening_port_with_its_process(full, viewer):
    text = viewer.text(f"/agents/{full.id}")
    for part in (
        "22/tcp",
        "sshd (801)",
        "/usr/sbin/sshd",
        "ssh.service",
        "openssh-server",
        "root",
        "443/tcp",
        "[::]:443",
        "nginx",
    ):
        assert part in text
    assert "owner not seen" in text
    assert "Not expected" in text
    assert "3 in all, 2 bound beyond loopback, 1 with an owner that was not seen" in text


def test_the_page_shows_backend_rule_count_and_both_families(full, viewer):
    text = viewer.text(f"/agents/{full.id}")
    assert "Backend nftables" in text
    assert "Rules 4 in 2 chains" in text
    assert "Closed policy drop" in text
    assert "Open policy accept" in text


def test_the_page_shows_facts_workers_lanes_ledger_and_events(full, viewer):
    text = viewer.text(f"/agents/{full.id}")
    for part in (
        "Linux 6.1.0-28-amd64", "4 CPUs, 8.0 GiB", "every 30 s", "netfilter", "997", "clamscan is not installed", "apt install clamav",
        "the row was too large", "Listener opened: tcp 0.0.0.0:8080", "no break was found",
    ):  # fmt: skip
        assert part in text


def test_what_is_not_seen_is_named_with_reason_and_fix(site, viewer, support_partly):
    agent = site.agent()
    agent.heartbeat(support_partly)
    text = viewer.text(f"/agents/{agent.id}")
    assert "Cannot see the owners of other users' sockets : permission is missing." in text
    assert "CAP_SYS_PTRACE is missing" in text
    assert "run the agent as a service: sudo make install" in text
    assert "Degraded" in text


def test_never_looked_reads_differently_from_none(site, viewer):
    agent = site.agent()
    agent.heartbeat(coverage=(Sight(subject="ports", state="unknown"),))
    assert "No look at the listening ports has arrived" in viewer.text(f"/agents/{agent.id}")
    agent.rows(ports.SUBJECT, {})
    agent.heartbeat(coverage=(Sight(subject="ports", state="seen", last_ok_ms=site.now_ms),))
    assert "there were none" in viewer.text(f"/agents/{agent.id}")


def test_a_server_that_never_reported_says_what_to_do(site, viewer):
    agent = site.agent()
    text = viewer.text(f"/agents/{agent.id}")
    assert "holdfast diagnose" in text
    assert "Never reported" in text
    assert "Not looked yet" in text


def test_losses_and_findings_are_shown_until_acknowledged(site, full, operator):
    site.run(site.store.note(full.id, FindingKind.CHAIN, "lane normal", site.now_ms, Lane.NORMAL, 7))
    full.heartbeat(lanes=(LaneState(lane=Lane.NORMAL, waiting=3, bytes=2048, next_seq=9, lost=12),))
    text = operator.text(f"/agents/{full.id}")
    assert "Chain broken" in text
    assert "lane normal, number 7" in text
    assert "3 (2.0 KiB)" in text
    number = site.run(site.store.findings(full.id))[0].number
    answer = operator.post(f"/findings/{number}/acknowledge", {"agent": full.id})
    assert answer.headers["location"] == f"/agents/{full.id}"
    assert "Chain broken" not in operator.text(f"/agents/{full.id}")
    assert site.run(site.store.findings(full.id))[0].acknowledged_by == operator_name(operator)


def operator_name(browser):
    return "user:" + browser.text("/account").split("Your account ", 2)[-1].split(" ")[0]


def test_acknowledging_leads_back_to_a_page_of_this_console(site, operator):
    operator.get("/account")
    assert operator.post("/findings/99/acknowledge", {"agent": "//evil.example"}).headers["location"] == "/"


def test_an_operator_renames_and_an_admin_revokes(site, full, operator, admin):
    operator.get(f"/agents/{full.id}")
    operator.post(f"/agents/{full.id}/name", {"name": "the web server"})
    assert "the web server" in operator.text(f"/agents/{full.id}")
    admin.get(f"/agents/{full.id}")
    admin.post(f"/agents/{full.id}/revoke")
    text = admin.text(f"/agents/{full.id}")
    assert "Revoked" in text
    log = admin.text("/audit")
    assert "agent.renamed" in log
    assert "agent.revoked" in log


def test_buttons_that_one_may_not_press_are_not_there(full, viewer, admin):
    assert "/revoke" not in viewer.get(f"/agents/{full.id}").text
    assert "/revoke" in admin.get(f"/agents/{full.id}").text


def test_an_unknown_server_is_a_page_that_says_so(viewer):
    answer = viewer.get("/agents/nothing")
    assert answer.status_code == 404
    assert "There is no server with this id." in answer.text


def test_the_firewall_page_shows_tables_chains_and_rules_in_order(full, viewer):
    text = viewer.text(f"/agents/{full.id}/firewall")
    assert "inet filter" in text
    assert "hook input, priority 0" in text
    first, second = text.index("ct state established,related accept"), text.index('iifname "lo" accept')
    assert first < second
    assert "ip saddr @bans drop" in text
    assert "2 elements" in text


def test_the_firewall_page_tells_an_empty_ruleset_from_one_never_seen(site, viewer):
    agent = site.agent()
    agent.heartbeat()
    assert "Not looked yet" in viewer.text(f"/agents/{agent.id}/firewall")
    summary = firewall.Row(what="summary", summary=firewall.Summary())
    agent.rows(firewall.SUBJECT, {firewall.SUMMARY: summary})
    text = viewer.text(f"/agents/{agent.id}/firewall")
    assert "No table and no rule" in text
    assert "lets everything in" in text


def test_the_page_shows_watched_files_with_changes_and_runs_whatever_else_is_told(site, full, viewer):
    book = integrity.Row(kind="book", name="b", state="watching", root="cd" * 32, open=1, watches=9)
    full.rows(integrity.SUBJECT, {"book": book})
    full.event(
        "integrity.transaction", "run 1", Severity.INFORMATIONAL, fields={"what": "ssh 1 -> 2", "files": 31, "proved": 31}
    )  # fmt: skip
    full.event("integrity.modified", "/etc/passwd", fields={"before": ["size 9"], "after": ["size <b>"]})
    for number in range(40):
        full.event("integrity.sealed", f"book {number}", Severity.INFORMATIONAL, Lane.BULK, fields={"root": "ab"})
    text = viewer.text(f"/agents/{full.id}")
    for part in ("File integrity", "ssh 1 -> 2", "31 files", "Modified: /etc/passwd", "size 9", "1 change waiting"):
        assert part in text
    assert "size <b>" in text and "Sealed: book 3" not in text.partition("File integrity")[2].partition("Events")[0]
