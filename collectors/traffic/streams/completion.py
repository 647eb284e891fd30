"""The end of the handshake: SYN and SYN/ACK have been seen, and a packet is to complete it; whichever way it was lost or tampered with."""

from collectors.traffic.streams import state as states
from collectors.traffic.streams.established import finish
from collectors.traffic.streams.handshake import take_answer
from collectors.traffic.streams.numbers import MASK, ahead
from collectors.traffic.streams.segment import ACK, FIN, MAX_SCALE, RST, SYN, Segment
from collectors.traffic.streams.session import MAX_ANSWERS, Session
from collectors.traffic.streams.side import Side
from collectors.traffic.streams.validity import note_timestamp, valid_ack, valid_reset, valid_timestamp


def syn_received(session: Session, segment: Segment) -> bool:
    """Look at a packet behind the server's SYN/ACK."""
    flags = segment.flags
    if flags & RST:
        return _reset(session, segment)
    if flags & FIN:
        return (not session.timestamps or valid_timestamp(session, segment)) and finish(session, segment)
    if flags & (SYN | ACK) == SYN | ACK:
        return _answer_again(session, segment)
    if flags & SYN:
        if segment.to_client:
            session.event(segment, "3whs_syn_toclient_on_syn_recv")
            return False
        if segment.seq != session.client.isn:
            session.event(segment, "3whs_syn_resend_diff_seq_on_syn_recv")
            return False
        return True
    if not flags & ACK:
        return True
    found = next((syn for syn in session.queue if segment.ack == (syn.seq + 1) & MASK and segment.seq == syn.ack), None)
    if found is not None:
        take_answer(session, found)
    if session.timestamps and not valid_timestamp(session, segment):
        return False
    if session.four_way and segment.to_client:
        return _four_way_complete(session, segment)
    return _complete(session, segment)


def _reset(session: Session, segment: Segment) -> bool:
    if not valid_reset(session, segment):
        return False
    _, receiver = session.sides(segment)
    if session.evasion and receiver.policy in ("linux", "old-linux", "solaris"):
        # These take the reset for a stray packet of a handshake that somebody played with, and go on.
        return True
    session.close_by_reset()
    if session.timestamps:
        note_timestamp(session, segment)
    return True


def _answer_again(session: Session, segment: Segment) -> bool:
    if not segment.to_client:
        session.event(segment, "3whs_synack_toserver_on_syn_recv")
        return False
    if segment.ack != session.client.last_ack:
        session.event(segment, "3whs_synack_resend_with_diff_ack")
        return False
    if segment.seq == session.server.isn:
        return True

    def shape(one: Segment) -> tuple[object, ...]:
        return one.window, one.seq, one.ack, one.stamp, one.scale, one.sack_permitted

    if any(shape(known) == shape(segment) for known in session.queue):
        return True
    if len(session.queue) >= MAX_ANSWERS:
        session.event(segment, "3whs_synack_flood")
        return False
    session.queue.append(segment)
    return True


def _four_way_complete(session: Session, segment: Segment) -> bool:
    client, server = session.client, session.server
    if segment.seq != server.next_seq:
        session.event(segment, "4whs_wrong_seq")
        return False
    if not valid_ack(session, client, segment):
        session.event(segment, "4whs_invalid_ack")
        return False
    _established(session, segment, server, client)
    return True


def _established(session: Session, segment: Segment, sender: Side, receiver: Side) -> None:
    """Complete the handshake by a packet that fits: its sender goes on by its bytes, its receiver's are acknowledged."""
    if session.timestamps:
        note_timestamp(session, segment)
    receiver.update_ack(segment.ack)
    sender.next_seq = (segment.seq + segment.length) & MASK
    receiver.window = segment.window << receiver.scale
    receiver.next_win = (receiver.last_ack + receiver.window) & MASK
    if session.midstream and not segment.to_client:
        sender.window = segment.window << sender.scale
        sender.next_win = (sender.last_ack + sender.window) & MASK
        if not session.midstream_synack:
            sender.scale = receiver.scale = MAX_SCALE
    session.enter(states.ESTABLISHED)
    session.queue.clear()
    session.out.segment(session, segment)


def _complete(session: Session, segment: Segment) -> bool:
    client, server, inline = session.client, session.server, session.inline
    missed = False
    if segment.to_client and not session.midstream_synack and not session.fast_open:
        if inline:
            fits = segment.length and segment.ack == client.last_ack and segment.seq == server.next_seq
            session.event(segment, "3whs_ack_data_inject" if fits else "3whs_ack_in_wrong_dir")
            return False
        missed = True
    if segment.seq == client.next_seq and segment.ack == server.next_seq:
        _established(session, segment, client, server)
    elif session.async_oneside and segment.seq == server.next_seq:
        _one_sided_answer(session, segment)
    elif segment.seq == client.next_seq:
        session.evasion = True
        session.event(segment, "3whs_right_seq_wrong_ack_evasion")
        return False
    elif (
        segment.to_client
        and not inline
        and ahead(segment.seq, server.next_seq) >= 0
        and ahead(segment.ack, client.last_ack) > 0
    ):
        _established(session, segment, server, client)
        server.next_win = (server.last_ack + server.window) & MASK
    elif (
        ahead(segment.seq, client.next_seq) > 0
        and ahead(segment.seq, client.next_win) <= 0
        and segment.ack == server.next_seq
    ):
        _established(session, segment, client, server)
    elif (missed or session.fast_open) and segment.ack == client.last_ack and segment.seq == server.next_seq:
        server.next_seq = (segment.seq + segment.length) & MASK
        server.window = segment.window << server.scale
        server.next_win = (server.last_ack + server.window) & MASK
        session.enter(states.ESTABLISHED)
        session.out.segment(session, segment)
    else:
        session.event(segment, "3whs_wrong_seq_wrong_ack")
        return False
    return True


def _one_sided_answer(session: Session, segment: Segment) -> None:
    """Go on with the server's side alone."""
    client, server = session.client, session.server
    session.one_sided = True
    server.next_seq = (server.next_seq + segment.length) & MASK
    server.last_ack = segment.seq
    client.window, client.last_ack = segment.window << client.scale, segment.ack
    if session.timestamps:
        note_timestamp(session, segment)
    if session.midstream:
        server.window = segment.window
        server.next_win = (server.last_ack + server.window) & MASK
        server.scale = client.scale = MAX_SCALE
    session.enter(states.ESTABLISHED)
    session.out.segment(session, segment)


Session.handlers[states.SYN_RECV] = syn_received
