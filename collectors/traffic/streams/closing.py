"""The end of a session: from the first FIN to the last acknowledgement, and what comes behind it."""

from collections.abc import Callable

from collectors.traffic.streams import state as states
from collectors.traffic.streams.established import acknowledge_reset, deliver, note_fin, widen
from collectors.traffic.streams.numbers import MASK, ahead
from collectors.traffic.streams.segment import ACK, FIN, RST, SYN, Segment
from collectors.traffic.streams.session import Session
from collectors.traffic.streams.side import Side
from collectors.traffic.streams.validity import note_timestamp, valid_ack, valid_reset, valid_timestamp

_Handler = Callable[[Session, Segment], bool]


def _closing(handle_fin: _Handler, handle_ack: _Handler) -> _Handler:
    """Return what all states behind a FIN have in common, with their own ways of a FIN and of an acknowledgement."""

    def look(session: Session, segment: Segment) -> bool:
        flags = segment.flags
        if flags & RST:
            if not valid_reset(session, segment):
                return False
            session.close_by_reset()
            acknowledge_reset(session, segment)
            return True
        if not flags & FIN and flags & SYN:
            session.event(segment, "shutdown_syn_resend")
            return False
        if not flags & (FIN | ACK):
            return True
        if session.timestamps and not valid_timestamp(session, segment):
            return False
        return handle_fin(session, segment) if flags & FIN else handle_ack(session, segment)

    return look


def _repeats(session: Session, sender: Side, segment: Segment) -> bool:
    """Return whether a packet's data has been seen or acknowledged already; says so."""
    end = segment.seq + segment.length
    if segment.length and (ahead(end, sender.last_ack) <= 0 or ahead(end, sender.next_seq) <= 0):
        session.event(segment, "pkt_retransmission")
        return True
    if segment.length and ahead(segment.seq, sender.last_ack) < 0 < ahead(end, sender.last_ack):
        session.event(segment, "pkt_retransmission")
        return True
    return False


def _refuse(session: Session, segment: Segment, name: str) -> bool:
    session.event(segment, name)
    return False


def _beyond(sender: Side, seq: int) -> bool:
    """Return whether a sequence number lies behind the window."""
    return ahead(seq, (sender.last_ack + sender.window) & MASK) > 0


def _note(session: Session, segment: Segment, receiver: Side, counted: int) -> None:
    """Take over timestamp and acknowledgement; bytes that were acknowledged unseen count as sent."""
    if session.timestamps:
        note_timestamp(session, segment)
    if segment.flags & ACK:
        if ahead(segment.ack, (receiver.next_seq - counted) & MASK) > 0:
            receiver.next_seq = segment.ack
        receiver.update_ack(segment.ack)


def _fin_wait1_fin(session: Session, segment: Segment) -> bool:
    sender, receiver = session.sides(segment)
    both = segment.flags & (FIN | ACK) == FIN | ACK
    repeats = _repeats(session, sender, segment)
    if both and segment.to_client and not repeats:
        repeats = segment.seq == (sender.next_seq - 1) & MASK and segment.ack == receiver.last_ack
    if not repeats and (ahead(segment.seq, (sender.next_seq - 1) & MASK) < 0 or _beyond(sender, segment.seq)):
        return _refuse(session, segment, "fin1_fin_wrong_seq")
    if not valid_ack(session, receiver, segment):
        return _refuse(session, segment, "fin1_invalid_ack")
    if not repeats:
        session.enter(states.TIME_WAIT if both else states.CLOSING)
        receiver.window = segment.window << receiver.scale
        note_fin(sender, segment)
    _note(session, segment, receiver, 1)
    expected = sender.next_seq if both and not segment.to_client else (sender.next_seq - 1) & MASK
    if segment.seq == expected and not repeats:
        sender.next_seq = (segment.seq + segment.length) & MASK
    deliver(session, segment)
    return True


def _fin_wait1_ack(session: Session, segment: Segment) -> bool:
    sender, receiver = session.sides(segment)
    repeats = _repeats(session, sender, segment)
    if not valid_ack(session, receiver, segment):
        return _refuse(session, segment, "fin1_invalid_ack")
    end = (segment.seq + segment.length) & MASK
    judged = not repeats and (segment.to_client or segment.ack == receiver.next_seq)
    if judged:
        if ahead(end, sender.next_win) > 0 and not (session.midstream or session.one_sided):
            return _refuse(session, segment, "fin1_ack_wrong_seq")
        if segment.seq == (sender.next_seq - segment.to_client) & MASK:
            session.enter(states.FIN_WAIT2)
        receiver.window = segment.window << receiver.scale
    _note(session, segment, receiver, 1)
    if segment.seq == (sender.next_seq - segment.to_client) & MASK:
        sender.next_seq = end
    widen(receiver, segment)
    deliver(session, segment)
    return True


def _fin_wait2_fin(session: Session, segment: Segment) -> bool:
    sender, receiver = session.sides(segment)
    repeats = segment.seq == (sender.next_seq - 1) & MASK and segment.ack == receiver.last_ack
    repeats = repeats or _repeats(session, sender, segment)
    if not repeats and (ahead(segment.seq, sender.next_seq) < 0 or _beyond(sender, segment.seq)):
        return _refuse(session, segment, "fin2_fin_wrong_seq")
    if not valid_ack(session, receiver, segment):
        return _refuse(session, segment, "fin2_invalid_ack")
    if not repeats:
        session.enter(states.TIME_WAIT)
        if not segment.to_client and segment.seq == sender.next_seq:
            sender.next_seq = (segment.seq + segment.length) & MASK
        receiver.window = segment.window << receiver.scale
        note_fin(sender, segment)
    _note(session, segment, receiver, 0)
    deliver(session, segment)
    return True


def _fin_wait2_ack(session: Session, segment: Segment) -> bool:
    sender, receiver = session.sides(segment)
    repeats = _repeats(session, sender, segment)
    if not valid_ack(session, receiver, segment):
        return _refuse(session, segment, "fin2_invalid_ack")
    end = (segment.seq + segment.length) & MASK
    if not repeats:
        if ahead(end, sender.next_win) > 0 and not (session.midstream or session.one_sided):
            return _refuse(session, segment, "fin2_ack_wrong_seq")
        receiver.window = segment.window << receiver.scale
    if session.timestamps:
        note_timestamp(session, segment)
    if segment.seq == sender.next_seq:
        sender.next_seq = end
    receiver.update_ack(segment.ack)
    widen(receiver, segment)
    deliver(session, segment)
    return True


def _ignored(_session: Session, _segment: Segment) -> bool:
    return True


def _closing_ack(session: Session, segment: Segment) -> bool:
    sender, receiver = session.sides(segment)
    repeats = _repeats(session, sender, segment)
    if segment.seq != sender.next_seq:
        return _refuse(session, segment, "closing_ack_wrong_seq")
    if not valid_ack(session, receiver, segment):
        return _refuse(session, segment, "closing_invalid_ack")
    if not repeats:
        session.enter(states.TIME_WAIT)
        receiver.window = segment.window << receiver.scale
    _note(session, segment, receiver, 0)
    deliver(session, segment)
    return True


def _close_wait_fin(session: Session, segment: Segment) -> bool:
    sender, receiver = session.sides(segment)
    repeats = _repeats(session, sender, segment)
    if not repeats and (ahead(segment.seq, sender.next_seq) < 0 or _beyond(sender, segment.seq)):
        return _refuse(session, segment, "closewait_fin_out_of_window")
    if not valid_ack(session, receiver, segment):
        return _refuse(session, segment, "closewait_invalid_ack")
    if not repeats:
        if segment.to_client:
            session.enter(states.LAST_ACK)
        receiver.window = segment.window << receiver.scale
        note_fin(sender, segment)
    _note(session, segment, receiver, 0)
    deliver(session, segment)
    return True


def _close_wait_ack(session: Session, segment: Segment) -> bool:
    sender, receiver = session.sides(segment)
    repeats = _repeats(session, sender, segment)
    if segment.length and ahead(segment.seq + segment.length, sender.last_ack) <= 0:
        return _refuse(session, segment, "closewait_pkt_before_last_ack")
    if _beyond(sender, segment.seq):
        return _refuse(session, segment, "closewait_ack_out_of_window")
    if not valid_ack(session, receiver, segment):
        return _refuse(session, segment, "closewait_invalid_ack")
    if not repeats:
        receiver.window = segment.window << receiver.scale
    _note(session, segment, receiver, 0)
    if segment.seq == sender.next_seq:
        sender.next_seq = (segment.seq + segment.length) & MASK
    deliver(session, segment)
    return True


def _last_ack(session: Session, segment: Segment) -> bool:
    sender, receiver = session.sides(segment)
    if segment.to_client:
        return True
    repeats = _repeats(session, sender, segment)
    if not valid_ack(session, receiver, segment):
        return _refuse(session, segment, "lastack_invalid_ack")
    if not repeats:
        over = ahead(segment.seq, sender.next_seq)
        if over > 1:
            return _refuse(session, segment, "lastack_ack_wrong_seq")
        if over >= 0:
            session.enter(states.CLOSED)
        receiver.window = segment.window << receiver.scale
    _note(session, segment, receiver, 0)
    deliver(session, segment)
    return True


def _time_wait(session: Session, segment: Segment) -> bool:
    sender, receiver = session.sides(segment)
    repeats = _repeats(session, sender, segment)
    over = ahead(segment.seq, sender.next_seq)
    if not repeats and over not in ((-1, 0) if segment.to_client else (0, 1)):
        if segment.to_client and segment.length and segment.seq == sender.last_ack:
            return True
        return _refuse(session, segment, "timewait_ack_wrong_seq")
    if not valid_ack(session, receiver, segment):
        return _refuse(session, segment, "timewait_invalid_ack")
    if not repeats:
        session.enter(states.CLOSED)
        receiver.window = segment.window << receiver.scale
    _note(session, segment, receiver, 0)
    deliver(session, segment)
    return True


def closed(session: Session, segment: Segment) -> bool:
    """Look at a packet behind the end: goes on as before when a reset was not believed."""
    if segment.flags & RST:
        return True
    sender, receiver = session.sides(segment)
    if not sender.reset_received and receiver.reset_received and session.before != states.CLOSED:
        before = session.before
        if not session.handlers[before](session, segment):
            return False
        if session.state == states.CLOSED:
            session.state = before
    return True


Session.handlers.update(
    {
        states.FIN_WAIT1: _closing(_fin_wait1_fin, _fin_wait1_ack),
        states.FIN_WAIT2: _closing(_fin_wait2_fin, _fin_wait2_ack),
        states.CLOSING: _closing(_ignored, _closing_ack),
        states.CLOSE_WAIT: _closing(_close_wait_fin, _close_wait_ack),
        states.LAST_ACK: _closing(_ignored, _last_ack),
        states.TIME_WAIT: _closing(_ignored, _time_wait),
        states.CLOSED: closed,
    }
)
