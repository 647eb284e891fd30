"""Whether a part of a lane continues what is held: pure, so that every way it can be wrong is tested without a database.

The rules are in `docs/design/lanes.md`. A record is sealed over the one before it (`contracts.event.link`). What is held already may come
again, unchanged. What is new must begin right after what is held and follow from it. A `Loss` stands for records that the agent had to
drop and carries the chain across. An agent that had to set its spool aside begins a new epoch: `previous` is `GENESIS`, the first record is
an `agent.spool_set_aside` and its number is above what is held; that is accepted and shown as a break, never silently.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from console.store.records import FindingKind
from contracts.codec import Codec
from contracts.errors import Malformed
from contracts.event import GENESIS, Envelope, Lane, Loss, Sealed, link
from contracts.record import Record
from contracts.wire import MAX_BATCH_RAW_BYTES, LanePart

MAX_SEQ = 2**62
NEW_EPOCH = "agent.spool_set_aside"
ENVELOPES: Codec[Envelope] = Codec(Envelope, MAX_BATCH_RAW_BYTES, tolerant=True)

HeldChains = Callable[[Sequence[int]], Mapping[int, bytes]]
"""Given sequence numbers, the chain values held for them; one that is not held (lost, or past retention) is left out."""


class Head(Record):
    """The last record held of a lane; the default is an empty lane."""

    seq: int = 0
    chain: bytes = GENESIS


class NewRecord(Record):
    """A record to store: as it came and decoded."""

    sealed: Sealed
    envelope: Envelope


class Accepted(Record):
    """What is new in the part, and the lane's head after it. `epoch` when a new chain begins after `head`."""

    head: Head
    records: tuple[NewRecord, ...] = ()
    losses: tuple[Loss, ...] = ()
    epoch: bool = False


class Rejected(Record):
    """Why nothing of the part is stored. `finding` None when there is nothing a person should look at."""

    status: int
    seq: int
    error: str
    advice: str = ""
    permanent: bool = True
    finding: FindingKind | None = None
    lane: Lane | None = None


class _Reject(Exception):
    def __init__(self, rejected: Rejected) -> None:
        super().__init__(rejected.error)
        self.rejected = rejected


def examine(agent: str, part: LanePart, head: Head, held: HeldChains) -> Accepted | Rejected:
    """Say what of `part`, which came with `agent`'s certificate, is new after `head`."""
    if not part.items:
        return Accepted(head=head)
    try:
        envelopes = _inspect(agent, part)
        return _join(part, envelopes, head, held)
    except _Reject as refused:
        return refused.rejected


def _inspect(agent: str, part: LanePart) -> dict[int, Envelope]:
    """Check the part by itself: numbers, links, envelopes; return the envelopes by sequence number."""
    if len(part.previous) != len(GENESIS):
        raise _malformed(0, "the previous chain value is not 32 bytes")
    envelopes: dict[int, Envelope] = {}
    chain = part.previous
    expected = _first(part.items[0])
    for item in part.items:
        seq = _first(item)
        if seq != expected or not 1 <= seq <= _last(item) <= MAX_SEQ or len(item.chain) != len(GENESIS):
            raise _malformed(seq, f"record {seq} is out of order or out of range")
        if isinstance(item, Loss):
            if not 0 <= item.count <= item.last - item.first + 1:
                raise _malformed(seq, f"the loss at {seq} counts {item.count} records")
        else:
            envelopes[seq] = _open(agent, part, item)
            if link(chain, item.body) != item.chain:
                raise _Reject(_broken(seq, "it is not sealed over the record before it"))
        chain = item.chain
        expected = _last(item) + 1
    return envelopes


def _open(agent: str, part: LanePart, item: Sealed) -> Envelope:
    try:
        envelope = ENVELOPES.decode(item.body)
    except Malformed as error:
        raise _malformed(item.seq, f"record {item.seq} {error.message}") from error
    if envelope.agent != agent:
        raise _Reject(
            Rejected(
                status=403,
                seq=item.seq,
                error=f"record {item.seq} is by another agent than the certificate",
                finding=FindingKind.IMPERSONATION,
            )
        )
    if envelope.lane != part.lane or envelope.seq != item.seq:
        raise _malformed(item.seq, f"record {item.seq} says it is {envelope.lane} {envelope.seq}")
    if not 0 <= envelope.event.observed_ms <= MAX_SEQ:
        raise _malformed(item.seq, f"record {item.seq} has an impossible time")
    return envelope


def _join(part: LanePart, envelopes: dict[int, Envelope], head: Head, held: HeldChains) -> Accepted:
    """Check the part against what is held and return what is new."""
    first = _first(part.items[0])
    epoch = part.previous == GENESIS and first in envelopes and envelopes[first].event.kind == NEW_EPOCH
    known = [item for item in part.items if _last(item) <= head.seq]
    fresh = [item for item in part.items if _last(item) > head.seq]
    if known:
        _compare(known, head, held, epoch)
    if fresh and not known:
        _follow(part, _first(fresh[0]), head, epoch)
    losses = tuple(_trim(item, head.seq) for item in fresh if isinstance(item, Loss))
    records = tuple(NewRecord(sealed=item, envelope=envelopes[item.seq]) for item in fresh if isinstance(item, Sealed))
    last = fresh[-1] if fresh else None
    return Accepted(
        head=Head(seq=_last(last), chain=last.chain) if last else head,
        records=records,
        losses=losses,
        epoch=bool(epoch and fresh and not known and (head.seq or first > 1)),
    )


def _follow(part: LanePart, first: int, head: Head, epoch: bool) -> None:
    """Check that new records begin where what is held ends."""
    if epoch:
        return
    if first > head.seq + 1:
        raise _Reject(
            Rejected(
                status=409,
                seq=head.seq + 1,
                error=f"records {head.seq + 1} to {first - 1} are missing",
                advice="send them, or a loss record that accounts for them",
                permanent=False,
                finding=FindingKind.GAP,
            )
        )
    if isinstance(part.items[0], Sealed) and part.previous != head.chain:
        raise _Reject(_broken(first, f"it does not follow from record {head.seq} as it is held"))


def _compare(known: list[Sealed | Loss], head: Head, held: HeldChains, epoch: bool) -> None:
    """Check that records that come again are the ones that are held."""
    chains = dict(held([_last(item) for item in known]))
    chains[head.seq] = head.chain
    for item in known:
        stored = chains.get(_last(item))
        if stored is None or stored == item.chain:
            continue
        if epoch:
            raise _Reject(
                Rejected(
                    status=409,
                    seq=_last(item),
                    error=f"a new epoch cannot begin at {_first(item)}: {head.seq} is held",
                    advice=f"number the new epoch from {head.seq + 1}",
                )
            )
        raise _Reject(
            Rejected(
                status=409,
                seq=_last(item),
                error=f"record {_last(item)} is held with another content",
                advice="set the spool aside and begin a new epoch above what is held",
                finding=FindingKind.CONFLICT,
            )
        )


def _trim(loss: Loss, seq: int) -> Loss:
    """Return the part of a loss that is above `seq`: what is held is not lost."""
    first = max(loss.first, seq + 1)
    return msgspec.structs.replace(loss, first=first, count=min(loss.count, loss.last - first + 1))


def _first(item: Sealed | Loss) -> int:
    return item.first if isinstance(item, Loss) else item.seq


def _last(item: Sealed | Loss) -> int:
    return item.last if isinstance(item, Loss) else item.seq


def _malformed(seq: int, error: str) -> _Reject:
    return _Reject(Rejected(status=400, seq=min(max(seq, 0), MAX_SEQ), error=error, finding=FindingKind.MALFORMED))


def _broken(seq: int, why: str) -> Rejected:
    return Rejected(
        status=409,
        seq=seq,
        error=f"record {seq} breaks the chain: {why}",
        advice="set the spool aside and begin a new epoch above what is held",
        finding=FindingKind.CHAIN,
    )
