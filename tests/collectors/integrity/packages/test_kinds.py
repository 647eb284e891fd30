"""One event a run; without a word of caution only where everything is proved."""

from analysis.integrity.folding import Fold
from collectors.integrity.collector import IntegrityCollector
from collectors.integrity.packages.kinds import KINDS, transaction_event
from contracts.event import Severity
from contracts.provenance import PackageChange, Transaction

RUN = Transaction(
    id="apt-5",
    tool="apt",
    started_ms=5,
    ended_ms=9,
    command="apt-get upgrade",
    who="ada (1000)",
    packages=(PackageChange(name="openssh-server", deed="upgrade", before="1:9.2p1-2", after="1:9.2p1-3"),),
)


def test_a_proved_run_is_informational_and_counts_what_it_changed() -> None:
    event = transaction_event(Fold(transaction=RUN, levels={"signed": 29, "product": 2}))
    assert (event.kind, event.severity, event.key, event.observed_ms) == (
        "integrity.transaction",
        Severity.INFORMATIONAL,
        "apt-5",
        9,
    )
    assert event.fields["what"] == "openssh-server 1:9.2p1-2 -> -3"
    assert (event.fields["files"], event.fields["proved"], event.fields["products"]) == (31, 29, 2)


def test_a_run_that_rests_on_lists_is_told_with_its_names() -> None:
    fold = Fold(transaction=RUN, levels={"listed": 1}, unproved=((b"/usr/bin/\xff", "as the list says"),))
    event = transaction_event(fold)
    assert event.kind == "integrity.transaction_unproved" and event.severity is Severity.MEDIUM
    assert event.evidence == {"/usr/bin/\\xff": "as the list says"} and event.fields["unproved"] == 1


def test_the_collector_declares_all_that_is_said_of_packages() -> None:
    assert [kind.name for kind in KINDS if kind not in IntegrityCollector.kinds] == []
