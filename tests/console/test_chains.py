"""Every way a part of a lane can continue, repeat or break what is held."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.chains import Accepted, Head, Rejected, examine
from console.store.records import FindingKind
from contracts.event import GENESIS, Lane, Loss, Sealed, link
from contracts.wire import LanePart

AGENT = "a" * 32
"""The name in the certificate."""


def held_none(_seqs: Any) -> dict[int, bytes]:
    return {}


def held_of(items: Any) -> Any:
    chains = {item.seq: item.chain for item in items if isinstance(item, Sealed)}
    return lambda seqs: {seq: chains[seq] for seq in seqs if seq in chains}


def test_the_first_records_of_a_lane_are_taken(lanes: Any) -> None:
    part = lanes(AGENT).part(3)
    verdict = examine(AGENT, part, Head(), held_none)
    assert isinstance(verdict, Accepted)
    assert [record.sealed.seq for record in verdict.records] == [1, 2, 3]
    assert verdict.head == Head(seq=3, chain=part.items[-1].chain)
    assert not verdict.epoch


def test_what_is_held_comes_again_unchanged_and_is_skipped(lanes: Any) -> None:
    part = lanes(AGENT).part(5)
    head = Head(seq=3, chain=part.items[2].chain)
    verdict = examine(AGENT, part, head, held_of(part.items))
    assert isinstance(verdict, Accepted)
    assert [record.sealed.seq for record in verdict.records] == [4, 5]


@pytest.mark.parametrize("held_seq", [2, 3])
def test_another_content_at_a_held_number_is_a_conflict(lanes: Any, held_seq: int) -> None:
    mine, clone = lanes(AGENT), lanes(AGENT)
    stored = mine.part(held_seq)
    forged = clone.part(2, key="tcp 4444")
    head = Head(seq=held_seq, chain=stored.items[-1].chain)
    verdict = examine(AGENT, forged, head, held_of(stored.items))
    assert isinstance(verdict, Rejected)
    assert (verdict.status, verdict.finding) == (409, FindingKind.CONFLICT)


def test_a_record_that_does_not_follow_breaks_the_chain(lanes: Any) -> None:
    stored = lanes(AGENT).part(2)
    forged = lanes(AGENT, seq=2, chain=b"x" * 32).part(1)
    verdict = examine(AGENT, forged, Head(seq=2, chain=stored.items[-1].chain), held_none)
    assert isinstance(verdict, Rejected)
    assert (verdict.status, verdict.finding) == (409, FindingKind.CHAIN)


def test_a_changed_body_breaks_the_chain(lanes: Any) -> None:
    part = lanes(AGENT).part(2)
    other = lanes(AGENT).part(1, key="changed").items[0]
    swapped = msgspec.structs.replace(part.items[0], body=other.body)
    verdict = examine(AGENT, msgspec.structs.replace(part, items=(swapped, part.items[1])), Head(), held_none)
    assert isinstance(verdict, Rejected)
    assert verdict.finding is FindingKind.CHAIN


def test_a_gap_that_nothing_accounts_for_is_refused(lanes: Any) -> None:
    lane = lanes(AGENT)
    stored = lane.part(2)
    lane.part(2)
    verdict = examine(AGENT, lane.part(1), Head(seq=2, chain=stored.items[-1].chain), held_none)
    assert isinstance(verdict, Rejected)
    assert (verdict.status, verdict.finding, verdict.seq) == (409, FindingKind.GAP, 3)
    assert not verdict.permanent


def test_a_loss_accounts_for_what_is_missing_and_the_chain_goes_on(lanes: Any) -> None:
    lane = lanes(AGENT)
    stored = lane.part(2)
    gone = lane.part(3)
    loss = Loss(first=3, last=5, count=3, chain=gone.items[-1].chain)
    rest = lane.part(1)
    part = LanePart(lane=Lane.NORMAL, previous=b"?" * 32, items=(loss, *rest.items))
    verdict = examine(AGENT, part, Head(seq=2, chain=stored.items[-1].chain), held_none)
    assert isinstance(verdict, Accepted)
    assert verdict.losses == (loss,)
    assert verdict.head.seq == 6


def test_what_is_held_is_not_lost(lanes: Any) -> None:
    lane = lanes(AGENT)
    stored = lane.part(4)
    gone = lane.part(2)
    loss = Loss(first=2, last=6, count=5, chain=gone.items[-1].chain)
    part = LanePart(lane=Lane.NORMAL, previous=GENESIS, items=(loss,))
    verdict = examine(AGENT, part, Head(seq=4, chain=stored.items[-1].chain), held_of(stored.items))
    assert isinstance(verdict, Accepted)
    assert [(one.first, one.last, one.count) for one in verdict.losses] == [(5, 6, 2)]


def test_a_spool_set_aside_begins_a_new_chain_above_what_is_held(lanes: Any) -> None:
    stored = lanes(AGENT).part(4)
    head = Head(seq=4, chain=stored.items[-1].chain)
    anew = lanes(AGENT, seq=9).part(1, kind="agent.spool_set_aside")
    verdict = examine(AGENT, anew, head, held_none)
    assert isinstance(verdict, Accepted)
    assert verdict.epoch
    assert verdict.head.seq == 10


def test_a_new_chain_within_what_is_held_is_told_where_to_begin(lanes: Any) -> None:
    stored = lanes(AGENT).part(4)
    head = Head(seq=4, chain=stored.items[-1].chain)
    anew = lanes(AGENT).part(1, kind="agent.spool_set_aside")
    verdict = examine(AGENT, anew, head, held_of(stored.items))
    assert isinstance(verdict, Rejected)
    assert verdict.finding is None
    assert "from 5" in verdict.advice


def test_any_other_event_cannot_begin_a_new_chain(lanes: Any) -> None:
    stored = lanes(AGENT).part(4)
    anew = lanes(AGENT, seq=9).part(1)
    verdict = examine(AGENT, anew, Head(seq=4, chain=stored.items[-1].chain), held_none)
    assert isinstance(verdict, Rejected)
    assert verdict.finding is FindingKind.GAP


def test_another_agents_record_is_an_impersonation(lanes: Any) -> None:
    verdict = examine(AGENT, lanes("b" * 32).part(1), Head(), held_none)
    assert isinstance(verdict, Rejected)
    assert (verdict.status, verdict.finding) == (403, FindingKind.IMPERSONATION)


def test_a_record_must_say_its_own_place(lanes: Any) -> None:
    part = lanes(AGENT, lane=Lane.BULK).part(1)
    verdict = examine(AGENT, msgspec.structs.replace(part, lane=Lane.NORMAL), Head(), held_none)
    assert isinstance(verdict, Rejected)
    assert verdict.status == 400


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(1, 12)), max_size=8))
@settings(max_examples=80, deadline=None)
def test_however_it_is_cut_and_repeated_the_lane_ends_up_whole(lanes: Any, cuts: list[tuple[int, int]]) -> None:
    whole = lanes(AGENT).part(12)
    head, taken = Head(), []
    for begin, length in [*cuts, (0, 12)]:
        first = min(begin, head.seq)
        previous = whole.items[first - 1].chain if first else GENESIS
        part = LanePart(lane=Lane.NORMAL, previous=previous, items=whole.items[first : first + length])
        verdict = examine(AGENT, part, head, held_of(whole.items))
        assert isinstance(verdict, Accepted)
        taken += [record.sealed.seq for record in verdict.records]
        head = verdict.head
    assert taken == list(range(1, 13))


@given(
    st.lists(
        st.one_of(
            st.builds(
                Sealed,
                seq=st.integers(-(2**63), 2**64 - 1),
                chain=st.one_of(st.just(GENESIS), st.binary(max_size=40)),
                body=st.binary(max_size=60),
            ),
            st.builds(
                Loss,
                first=st.integers(-5, 2**64 - 1),
                last=st.integers(-5, 2**64 - 1),
                count=st.integers(-5, 2**64 - 1),
                chain=st.binary(min_size=32, max_size=32),
            ),
        ),
        max_size=4,
    ),
    st.binary(min_size=30, max_size=33),
)
@settings(max_examples=150, deadline=None)
def test_nonsense_is_judged_and_never_raises(items: list[Any], previous: bytes) -> None:
    part = LanePart(lane=Lane.NORMAL, previous=previous, items=tuple(items))
    verdict = examine(AGENT, part, Head(seq=3, chain=b"h" * 32), held_none)
    if isinstance(verdict, Accepted):
        assert all(isinstance(item, Loss) for item in items)
    else:
        assert verdict.status in (400, 403, 409)


def test_links_are_the_contracts(lanes: Any) -> None:
    part = lanes(AGENT).part(1)
    assert part.items[0].chain == link(GENESIS, part.items[0].body)
