"""A proof counts from its date for its time, and never from the future."""

import pytest

from contracts.proof import Proof, Verb


@pytest.mark.parametrize(("now_ms", "holds"), [(999, False), (1000, True), (2999, True), (3000, False)])
def test_a_proof_holds_only_for_its_time(now_ms: int, holds: bool) -> None:
    assert Proof(subject="backup", verb=Verb.RESTORED, at_ms=1000, valid_s=2).holds(now_ms) is holds
