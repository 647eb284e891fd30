"""The plain packets of an open session that is looked at with care: data and acknowledgements, in a loop without an object per packet.

It comes to what `session.Session.take` comes to (a test holds them to that), and stops at the first packet that asks for more judgement:
other flags and options, keep-alives, probes of the window, acknowledgements and timestamps that cannot be right.
"""

from typing import Final

from collectors.traffic.streams import state as states
from collectors.traffic.streams.left import Left
from collectors.traffic.streams.news import News
from collectors.traffic.streams.policy import Policy
from collectors.traffic.streams.segment import ACK
from collectors.traffic.streams.session import Session
from collectors.traffic.streams.side import Side
from collectors.traffic.streams.validity import PAWS_S

_MASK: Final = 0xFFFFFFFF
_HALF: Final = 0x80000000
_OWN_STAMPS: Final = frozenset({Policy.SOLARIS, Policy.HPUX11})
"""These judge timestamps in ways of their own."""


def follow(session: Session, left: Left, place: int, end: int, news: News) -> int:
    """Take the plain packets from `place` on; returns the place of the first that is not, or `end`."""
    first = place
    if session.state == states.SYN_SENT:
        while place < end and _wait(session, left, place):
            place += 1
    elif place < end and _is_plain(session):
        while place < end and _take(session, left, place, news):
            place += 1
        if place > first:
            news.established[left.rows[first:place]] = True
    return place


def _wait(session: Session, left: Left, place: int) -> bool:
    """Pass over what the client says while nothing has answered its SYN (the other side is not seen); False when there is more to it."""
    if not left.plain[place] or left.way[place] or not _is_unanswered(session):
        return False
    client, length = session.client, left.length[place]
    if length <= 1:
        # One byte, or an acknowledgement of nothing, may be a keep-alive.
        return not length and bool(left.ack[place])
    finish = left.seq[place] + length
    behind = client.base + client.released if not client.depth_reached else client.last_ack
    if any(((finish - edge + _HALF) & _MASK) <= _HALF for edge in (behind, client.last_ack)):
        session.out.event(left.row[place], session.slot, "pkt_spurious_retransmission")
    return True


def _is_unanswered(session: Session) -> bool:
    """Return whether nothing but the client's SYN is known."""
    if session.async_oneside or session.four_way:
        return False
    return not any(side.keep_alive or side.reset_received for side in (session.client, session.server))


def _is_plain(session: Session) -> bool:
    """Return whether nothing about the session itself asks for judgement."""
    if session.state != states.ESTABLISHED or session.one_sided or session.four_way or session.midstream_open:
        return False
    if session.inline or session.async_oneside or session.probe_to_client or session.probe_to_server:
        return False
    return _is_plain_side(session.client) and _is_plain_side(session.server)


def _is_plain_side(side: Side) -> bool:
    return not (side.keep_alive or side.reset_received or side.zero_stamp or side.policy in _OWN_STAMPS)


def _take(session: Session, left: Left, place: int, news: News) -> bool:
    """Take one packet; returns False, having changed nothing, when it asks for more judgement."""
    if not left.plain[place]:
        return False
    to_client = left.way[place]
    sender, receiver = (session.server, session.client) if to_client else (session.client, session.server)
    seq, ack, length = left.seq[place], left.ack[place], left.length[place]
    ahead = ((seq - sender.next_seq + _HALF) & _MASK) - _HALF
    over = ((ack - receiver.last_ack + _HALF) & _MASK) - _HALF
    if not ahead:
        if length == 1 and not sender.window:
            return False
        if over < 0 and not length:
            # An acknowledgement that a newer one has made meaningless.
            sender.flags_seen |= ACK
            return True
    elif (ahead == -1 and length <= 1) or (ahead > 0 and ((ack - receiver.next_seq + _HALF) & _MASK) > _HALF):
        return False
    finish = (seq + length) & _MASK
    behind = ((finish - sender.last_ack + _HALF) & _MASK) - _HALF
    if length and ((finish - sender.base - sender.released + _HALF) & _MASK) <= _HALF and not sender.depth_reached:
        session.out.event(left.row[place], session.slot, "pkt_spurious_retransmission")
        sender.flags_seen |= ACK
        return True
    stamp = left.stamp[place] if session.timestamps else -1
    if stamp >= 0 and not _plain_stamp(session, sender, stamp, left.seconds[place]):
        return False
    if over > 0:
        if ((ack - receiver.next_win + _HALF) & _MASK) > _HALF:
            return False
    elif over < -receiver.window and receiver.window:
        return False
    # From here on the packet is taken or refused here.
    sender.flags_seen |= ACK
    if to_client:
        session.confirmed = True
    if behind <= 0 and length:
        session.out.event(left.row[place], session.slot, "pkt_spurious_retransmission")
    refused = ""
    beyond = ((finish - sender.next_seq + _HALF) & _MASK) - _HALF
    if behind < 0 and not (beyond > 0 and ((sender.last_ack - sender.next_seq + _HALF) & _MASK) > _HALF):
        refused = "est_pkt_before_last_ack"
    else:
        if beyond >= 0:
            sender.next_seq = finish
        if ((finish - sender.next_win + _HALF) & _MASK) > _HALF and not session.midstream:
            refused = "est_packet_out_of_window"
    if refused:
        session.out.event(left.row[place], session.slot, refused)
        news.accepted[left.row[place]] = False
        return True
    if over > 0:
        receiver.last_ack = ack
    if stamp >= 0:
        if sender.next_seq == seq:
            sender.last_stamp = stamp
        sender.last_seconds = left.seconds[place]
    _deliver(session, sender, receiver, left, place)
    return True


def _deliver(session: Session, sender: Side, receiver: Side, left: Left, place: int) -> None:
    """Let the window count, hand on what the acknowledgement releases, and let the bytes wait."""
    receiver.window = window = left.window[place] << receiver.scale
    edge = receiver.last_ack + window
    if ((edge - receiver.next_win + _HALF) & _MASK) > _HALF:
        receiver.next_win = edge & _MASK
    out, length = session.out, left.length[place]
    if receiver.segments.held or receiver.depth_reached:
        out.release(session, receiver, left.row[place], left.times[place])
    if length:
        if not sender.ended:
            out.insert(session, sender, left.seq[place], left.data(place), left.row[place])
        if sender.depth_reached:
            out.release(session, sender, left.row[place], left.times[place])


def _plain_stamp(session: Session, sender: Side, stamp: int, now: int) -> bool:
    """Return whether a timestamp is one that any receiver takes."""
    last = sender.last_stamp
    if not stamp or ((stamp - last + _HALF) & _MASK) < _HALF - 1:
        return False
    return not (last and now > (sender.last_seconds or (now if session.midstream else 0)) + PAWS_S)
