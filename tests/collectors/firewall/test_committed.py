"""Who changed the ruleset, in one line, with nothing that is not known."""

import pytest

from collectors.firewall import committed
from contracts.host import Committer
from contracts.title import title


@pytest.mark.parametrize(
    ("who", "text"),
    [
        (Committer(pid=12, process="nft"), "nft (pid 12)"),
        (Committer(pid=12, process="nft", command="nft", user="root"), "nft (pid 12), run by root"),
        (
            Committer(
                pid=12, process="nft", user="root", login="alice", parents=("bash", "sudo", "bash", "sshd", "sshd")
            ),
            "nft (pid 12), run by root from sshd session of alice",
        ),
        (
            Committer(pid=12, process="nft", user="root", login="alice", parents=("bash", "tmux: server")),
            "nft (pid 12), run by root from login of alice",
        ),
        (
            Committer(pid=12, process="gmain", command="firewalld", user="root", unit="firewalld.service"),
            "firewalld (pid 12), run by root from firewalld.service",
        ),
        (
            Committer(pid=12, process="iptables", user="root", container="docker:0123456789ab"),
            "iptables (pid 12), run by root in container docker:0123456789ab",
        ),
        (Committer(pid=12, process="nft", user="holdfast-netfilter", own=True), "nft (pid 12) of this agent"),
    ],
)
def test_one_line_says_what_is_known(who: Committer, text: str) -> None:
    assert committed.words(who) == text


def test_what_is_not_known_is_no_field() -> None:
    event = committed.event([Committer(pid=12, process="nft")])
    assert event.fields == {"by": "nft (pid 12)", "process": "nft", "pid": 12, "own": False}
    assert title(committed.RULESET_COMMITTED, event) == "Ruleset changed by nft (pid 12)"


def test_somebody_else_stands_for_a_burst_before_this_agent_does() -> None:
    event = committed.event([Committer(pid=1, process="nft", own=True), Committer(pid=2, process="iptables")])
    assert event.fields["pid"] == 2
    assert event.fields["own"] is False
    assert event.fields["others"] == ["nft (pid 1)"]


def test_a_burst_of_this_agent_alone_says_so() -> None:
    assert committed.event([Committer(pid=1, process="nft", own=True)]).fields["own"] is True
