"""An open session: data and acknowledgements both ways, keep-alives, window probes, and the first FIN."""

from collectors.traffic.streams import state as states
from collectors.traffic.streams.numbers import MASK, ahead
from collectors.traffic.streams.segment import ACK, FIN, RST, SYN, Segment
from collectors.traffic.streams.session import Session
from collectors.traffic.streams.side import Side
from collectors.traffic.streams.validity import note_timestamp, valid_ack, valid_reset, valid_timestamp


def established(session: Session, segment: Segment) -> bool:
    """Look at a packet of an open session."""
    flags = segment.flags
    if flags & RST:
        return _reset(session, segment)
    if flags & FIN:
        return (not session.timestamps or valid_timestamp(session, segment)) and finish(session, segment)
    if flags & (SYN | ACK) == SYN | ACK:
        return _answer_again(session, segment)
    if flags & SYN:
        name = "est_syn_resend" if segment.seq == session.client.isn else "est_syn_resend_diff_seq"
        session.event(segment, "est_syn_toclient" if segment.to_client else name)
        return False
    if not flags & ACK:
        return True
    if session.timestamps and not valid_timestamp(session, segment):
        return False
    if segment.to_client:
        session.confirmed = True
    return _data(session, segment)


def _reset(session: Session, segment: Segment) -> bool:
    if not valid_reset(session, segment):
        return False
    sender, receiver = session.sides(segment)
    session.close_by_reset()
    receiver.next_seq = segment.ack if segment.flags & ACK else receiver.next_seq
    sender.next_seq = (segment.seq + segment.length + segment.to_client) & MASK
    sender.window = segment.window << sender.scale
    acknowledge_reset(session, segment)
    return True


def acknowledge_reset(session: Session, segment: Segment) -> None:
    """Take over what a reset acknowledges: what it says, and everything its sender sent before it."""
    sender, receiver = session.sides(segment)
    if segment.flags & ACK and valid_ack(session, receiver, segment):
        receiver.update_ack(segment.ack)
    sender.update_ack(segment.seq)
    if session.timestamps:
        note_timestamp(session, segment)
    session.out.segment(session, segment)


def _answer_again(session: Session, segment: Segment) -> bool:
    client, server = session.client, session.server
    if not segment.to_client:
        name = "est_synack_toserver"
    elif segment.ack != client.last_ack:
        name = "est_synack_resend_with_diff_ack"
    elif segment.seq != server.isn:
        name = "est_synack_resend_with_diff_seq"
    elif session.confirmed:
        name = "est_synack_resend"
    else:
        # The server has not received the handshake's last packet.
        return True
    session.event(segment, name)
    return False


def _data(session: Session, segment: Segment) -> bool:
    sender, receiver = session.sides(segment)
    probed = session.probe_to_server if segment.to_client else session.probe_to_client
    if not (probed and segment.ack == (receiver.next_seq + 1) & MASK) and not valid_ack(session, receiver, segment):
        session.event(segment, "est_invalid_ack")
        return False
    if segment.to_client and session.midstream and session.midstream_open:
        sender.window = segment.window << sender.scale
        sender.next_win = (sender.last_ack + sender.window) & MASK
        session.midstream_open = False
    end = (segment.seq + segment.length) & MASK
    keep_alive = segment.length <= 1 and segment.seq == (sender.next_seq - 1) & MASK
    if not keep_alive and ahead(end, sender.last_ack) < 0 and not _behind_ack(session, sender, segment, end):
        session.event(segment, "est_pkt_before_last_ack")
        return False
    if segment.length == 1 and segment.seq == sender.next_seq and not sender.window:
        return _probe(session, segment)
    if ahead(end, sender.next_seq) >= 0:
        sender.next_seq = end
        if session.one_sided:
            sender.update_ack(end)
    if ahead(end, sender.next_win) > 0 and not (session.midstream or session.one_sided):
        session.event(segment, "est_packet_out_of_window")
        return False
    receiver.window = segment.window << receiver.scale
    receiver.update_ack(segment.ack)
    if session.timestamps:
        note_timestamp(session, segment)
    widen(receiver, segment)
    deliver(session, segment)
    return True


def _behind_ack(session: Session, sender: Side, segment: Segment, end: int) -> bool:
    """Return whether data from before the last acknowledgement is taken: one-sided, or acknowledged without having been seen."""
    one_sided = session.one_sided
    if not one_sided and session.async_oneside and session.midstream and not segment.to_client:
        one_sided = segment.seq == sender.next_seq or sender.last_ack == sender.base
        session.one_sided = one_sided
    if one_sided:
        if segment.to_client:
            sender.last_ack = segment.seq
        else:
            sender.update_ack(segment.seq)
        return True
    return ahead(sender.last_ack, sender.next_seq) > 0 and ahead(end, sender.next_seq) > 0


def _probe(session: Session, segment: Segment) -> bool:
    """Take a probe of a closed window: one byte that the receiver need not have taken."""
    if segment.to_client:
        session.probe_to_client = True
    else:
        session.probe_to_server = True
    deliver(session, segment)
    return True


def widen(receiver: Side, segment: Segment) -> None:
    """Let the window that a packet announces count, with what it acknowledges selectively on top."""
    if not segment.sacks:
        receiver.update_window((receiver.last_ack + receiver.window) & MASK)
        return
    sacked = 0
    for left, right in segment.sacks:
        if ahead(left, receiver.last_ack) >= 0:
            sacked += max(ahead(right, left), 0)
    receiver.update_window((receiver.last_ack + receiver.window + min(sacked, receiver.window)) & MASK)


def deliver(session: Session, segment: Segment) -> None:
    """Take in the bytes and hand on what is readable; one side alone needs no acknowledgement."""
    session.out.segment(session, segment)
    if session.one_sided:
        sender, _ = session.sides(segment)
        session.out.release(session, sender, segment.row, segment.time_ns)


def finish(session: Session, segment: Segment) -> bool:
    """Take the first FIN."""
    sender, receiver = session.sides(segment)
    if not valid_ack(session, receiver, segment):
        session.event(segment, "fin_invalid_ack")
        return False
    end = (segment.seq + segment.length) & MASK
    if ahead(segment.seq, sender.last_ack) < 0 or ahead(end, sender.next_win) > 0:
        session.event(segment, "fin_out_of_window")
        return False
    if segment.flags & SYN:
        session.event(segment, "fin_syn")
        return False
    session.enter(states.FIN_WAIT1 if segment.to_client else states.CLOSE_WAIT)
    # Suricata counts the FIN itself on the server's side alone; the states behind rely on it.
    sender.next_seq = (end + segment.to_client) & MASK
    note_fin(sender, segment)
    receiver.window = segment.window << receiver.scale
    if session.timestamps:
        note_timestamp(session, segment)
    if segment.flags & ACK:
        if ahead(segment.ack, receiver.next_seq) > 0:
            receiver.next_seq = segment.ack
        receiver.update_ack(segment.ack)
    deliver(session, segment)
    return True


def note_fin(sender: Side, segment: Segment) -> None:
    """Note where the sender's data ends."""
    if sender.fin is None:
        sender.fin = sender.offset(segment.seq) + segment.length


Session.handlers[states.ESTABLISHED] = established
