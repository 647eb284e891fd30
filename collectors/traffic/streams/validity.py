"""Whether acknowledgements, resets and timestamps are such that the receiver would believe them, as Suricata judges it by target."""

from typing import TYPE_CHECKING, Final

from collectors.traffic.streams import state as states
from collectors.traffic.streams.numbers import ahead
from collectors.traffic.streams.policy import Policy
from collectors.traffic.streams.segment import ACK, RST, Segment

if TYPE_CHECKING:
    from collectors.traffic.streams.session import Session
    from collectors.traffic.streams.side import Side

PAWS_S: Final = 24 * 86_400
"""So long does a timestamp keep its meaning (RFC 7323)."""

_ZERO_IGNORED: Final = frozenset({Policy.LINUX, Policy.WINDOWS2K3})
_ZERO_ONCE: Final = frozenset({Policy.OLD_LINUX, Policy.WINDOWS, Policy.VISTA})
_ZERO_ALLOWED: Final = frozenset({Policy.OLD_LINUX, Policy.WINDOWS, Policy.WINDOWS2K3, Policy.VISTA, Policy.SOLARIS})
_WINDOW_RESET: Final = frozenset({Policy.OLD_LINUX, Policy.LINUX, Policy.SOLARIS})


def valid_ack(session: "Session", acked: "Side", segment: Segment) -> bool:
    """Return whether what a packet says to have received of `acked` can be so; says so itself when not."""
    if not segment.flags & ACK:
        return True
    ack = segment.ack
    over = ahead(ack, acked.last_ack)
    if over == 0 or (over > 0 and ahead(ack, acked.next_win) <= 0):
        return True
    if over < 0:
        if not acked.window or over >= -acked.window:
            return True
    elif session.one_sided:
        return True
    elif session.state == states.SYN_SENT and segment.to_client and segment.flags & RST and ack == acked.base:
        # A reset that answers the SYN; nothing is known of windows yet.
        return True
    session.event(segment, "pkt_invalid_ack")
    return False


def valid_reset(session: "Session", segment: Segment) -> bool:
    """Return whether the receiver would take a reset."""
    if session.timestamps and not valid_timestamp(session, segment):
        return False
    sender, receiver = session.sides(segment)
    if segment.flags & ACK and segment.ack and not valid_ack(session, receiver, segment):
        session.event(segment, "rst_invalid_ack")
        return False
    if segment.signed:
        # Nobody without the key can tell whether the receiver believes it: watch whether its sender goes on.
        receiver.reset_received = True
    over = ahead(segment.seq, sender.next_seq)
    if session.one_sided or receiver.policy is Policy.HPUX11:
        return over >= 0
    if receiver.policy in _WINDOW_RESET:
        return ahead(segment.seq + segment.length, sender.last_ack) >= 0 and over < sender.window
    return over == 0


def valid_timestamp(session: "Session", segment: Segment) -> bool:
    """Return whether the receiver would take a packet by its timestamp (PAWS); changes nothing."""
    return segment.stamp is None or _judge(session, segment, segment.stamp, False)


def note_timestamp(session: "Session", segment: Segment) -> None:
    """Take over the timestamp of a packet that was accepted."""
    _, receiver = session.sides(segment)
    if segment.stamp is not None:
        _judge(session, segment, segment.stamp, True)
    elif receiver.policy is Policy.SOLARIS:
        session.timestamps = False


def _judge(session: "Session", segment: Segment, stamp: int, update: bool) -> bool:
    sender, receiver = session.sides(segment)
    target, in_order = receiver.policy, sender.next_seq == segment.seq
    last, check = sender.last_stamp, True
    if sender.zero_stamp and target in _ZERO_IGNORED:
        check = False
        if update:
            session.timestamps = False
    elif sender.zero_stamp and target in _ZERO_ONCE:
        if update:
            sender.zero_stamp = False
        if in_order:
            check = False
            if update:
                sender.last_stamp = stamp
    if target is Policy.HPUX11 and not in_order:
        check = False
    if stamp == 0 and target not in _ZERO_ALLOWED:
        session.event(segment, "pkt_invalid_timestamp")
        return False
    return not check or _compare(session, segment, stamp, last, update)


def _compare(session: "Session", segment: Segment, stamp: int, last: int, update: bool) -> bool:
    sender, _ = session.sides(segment)
    now = segment.seconds
    since = sender.last_seconds or (now if session.midstream else 0)
    # Linux lets a timestamp be one behind; Suricata's stock configuration is as liberal with all.
    good = ahead(stamp, last) + 1 >= 0 and not (last and now > since + PAWS_S)
    if not good:
        if not (sender.next_seq == segment.seq and now > since + PAWS_S):
            session.event(segment, "pkt_invalid_timestamp")
            return False
        if update:
            sender.last_stamp = stamp
    elif update and sender.next_seq == segment.seq:
        sender.last_stamp = stamp
    if update:
        sender.last_seconds = now
    return True
