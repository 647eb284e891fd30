"""The beginning of a session: nothing known, SYN sent, SYN/ACK received; simultaneous opening, fast open, and picking up midstream."""

from collectors.traffic.streams import state as states
from collectors.traffic.streams.numbers import MASK
from collectors.traffic.streams.segment import ACK, FIN, MAX_SCALE, RST, SYN, Segment
from collectors.traffic.streams.session import MAX_SYNS, Session
from collectors.traffic.streams.validity import valid_reset


def nothing(session: Session, segment: Segment) -> bool:
    """Look at a packet of a flow without a session."""
    flags, options = segment.flags, session.options
    if flags & RST:
        session.event(segment, "rst_but_no_session")
        return False
    if flags & FIN:
        if not options.midstream or not segment.length:
            session.event(segment, "fin_but_no_session")
            return False
        _pick_up(session, segment, states.FIN_WAIT1)
    elif flags & (SYN | ACK) == SYN | ACK:
        if options.midstream or options.async_oneside:
            _pick_up_answer(session, segment)
    elif flags & SYN:
        _open(session, segment)
    elif flags & ACK and options.midstream:
        _pick_up(session, segment, states.ESTABLISHED)
    return True


def _open(session: Session, segment: Segment) -> None:
    client = session.client
    session.enter(states.SYN_SENT)
    session.one_sided = session.async_oneside
    client.begin(segment.seq)
    client.flags_seen |= segment.flags
    client.next_seq = client.base
    _take_syn(session, segment)
    if segment.fast_open:
        session.fast_open = True
        if segment.length:
            client.next_seq = (client.next_seq + segment.length) & MASK
            session.out.segment(session, segment)


def _take_syn(session: Session, segment: Segment) -> None:
    """Take over the options and the window of the client's SYN."""
    client, server = session.client, session.server
    if segment.stamp is not None:
        client.last_stamp, client.zero_stamp = segment.stamp, segment.stamp == 0
        client.last_seconds, client.stamped = segment.seconds, True
    session.scales = segment.scale is not None
    server.scale = segment.scale or 0
    server.window = segment.window
    session.sack_client = segment.sack_permitted


def _pick_up(session: Session, segment: Segment, state: int) -> None:
    """Begin in the middle: this packet's sender is the client; windows are taken to be as wide as they can be."""
    client, server = session.client, session.server
    session.enter(state)
    session.midstream = session.midstream_open = True
    session.one_sided = session.async_oneside
    client.scale = server.scale = MAX_SCALE
    sender, receiver = session.sides(segment)
    sender.flags_seen |= segment.flags
    sender.begin((segment.seq - 1) & MASK)
    sender.next_seq = (segment.seq + segment.length + (state == states.FIN_WAIT1)) & MASK
    sender.window = segment.window << MAX_SCALE
    sender.last_ack = segment.seq
    sender.next_win = (segment.seq + sender.window) & MASK
    receiver.begin((segment.ack - 1) & MASK)
    receiver.next_seq = receiver.last_ack = receiver.next_win = segment.ack
    _stamps(session, segment)
    if segment.flags & FIN:
        sender.fin = segment.length
    session.out.segment(session, segment)


def _pick_up_answer(session: Session, segment: Segment) -> None:
    client, server = session.client, session.server
    session.enter(states.SYN_RECV)
    session.midstream = session.midstream_synack = True
    session.one_sided = session.async_oneside
    server.flags_seen |= segment.flags
    server.begin(segment.seq)
    server.next_seq, server.window, server.last_ack = server.base, segment.window, segment.seq
    server.next_win = (server.last_ack + server.window) & MASK
    client.begin((segment.ack - 1) & MASK)
    client.next_seq = client.last_ack = segment.ack
    if segment.scale is not None:
        client.scale, server.scale = segment.scale, MAX_SCALE
    _stamps(session, segment)


def _stamps(session: Session, segment: Segment) -> None:
    if segment.stamp is None:
        return
    sender, receiver = session.sides(segment)
    sender.last_stamp, receiver.last_stamp = segment.stamp, segment.echo
    sender.zero_stamp, receiver.zero_stamp = segment.stamp == 0, segment.echo == 0
    sender.last_seconds = segment.seconds
    session.timestamps = True


def syn_sent(session: Session, segment: Segment) -> bool:
    """Look at a packet behind the client's SYN."""
    flags = segment.flags
    if flags & (SYN | ACK) == SYN | ACK:
        return _answer(session, segment) if segment.to_client else _four_way_answer(session, segment)
    if not _echoes(session, segment):
        session.event(segment, "pkt_invalid_timestamp")
        return False
    if flags & RST:
        return _refused(session, segment)
    if flags & FIN:
        return True
    if flags & SYN:
        _again(session, segment)
        return True
    if flags & ACK and session.async_oneside:
        return _one_sided(session, segment)
    return True


def _echoes(session: Session, segment: Segment) -> bool:
    """Return whether an answer echoes the timestamp of the SYN, as a real server's does."""
    if not segment.to_client or segment.stamp is None:
        return True
    client = session.client
    if client.stamped:
        return not client.last_stamp or not segment.echo or segment.echo == client.last_stamp
    return bool(client.last_stamp) or not segment.echo


def _answer(session: Session, segment: Segment) -> bool:
    client = session.client
    if not (segment.fast_open or session.fast_open):
        if segment.ack != client.base and not _answers_earlier(session, segment):
            session.event(segment, "3whs_synack_with_wrong_ack")
            return False
    else:
        if segment.ack not in (client.next_seq, client.base):
            session.event(segment, "3whs_synack_with_wrong_ack")
            return False
        if segment.ack != client.next_seq:
            client.next_seq = client.isn
            session.event(segment, "3whs_synack_tfo_data_ignored")
            session.data_ignored = True
        session.fast_open = True
        session.enter(states.ESTABLISHED)
    if not _echoes(session, segment):
        found = next((syn for syn in session.queue if syn.stamp is not None and syn.stamp == segment.echo), None)
        if found is None:
            session.event(segment, "pkt_invalid_timestamp")
            return False
        _take_syn(session, found)
    session.queue.clear()
    take_answer(session, segment)
    return True


def _answers_earlier(session: Session, segment: Segment) -> bool:
    """Go back to the earlier SYN that a SYN/ACK answers, where there is one."""
    found = next((syn for syn in session.queue if (syn.seq + 1) & MASK == segment.ack), None)
    if found is not None:
        _take_syn(session, found)
        _renumber(session, found.seq)
    return found is not None


def take_answer(session: Session, segment: Segment) -> None:
    """Take over the server's SYN/ACK."""
    client, server = session.client, session.server
    session.enter(states.SYN_RECV)
    server.begin(segment.seq)
    server.next_seq = server.last_ack = server.base
    client.window = segment.window
    if segment.stamp is not None and client.stamped:
        server.last_stamp, server.zero_stamp = segment.stamp, segment.stamp == 0
        server.last_seconds = segment.seconds
        session.timestamps = True
    else:
        client.last_stamp = server.last_stamp = 0
        client.zero_stamp = False
    client.last_ack = segment.ack
    client.scale = segment.scale if session.scales and segment.scale is not None else 0
    server.next_win = (server.last_ack + server.window) & MASK
    client.next_win = (client.last_ack + client.window) & MASK
    session.four_way = False


def _four_way_answer(session: Session, segment: Segment) -> bool:
    client, server = session.client, session.server
    if not session.four_way:
        session.event(segment, "3whs_synack_in_wrong_direction")
        return False
    if segment.ack != server.base:
        session.event(segment, "4whs_synack_with_wrong_ack")
        return False
    if segment.seq != client.isn:
        session.event(segment, "4whs_synack_with_wrong_syn")
        return False
    session.enter(states.SYN_RECV)
    client.next_seq = client.last_ack = client.base
    server.window = segment.window
    server.last_ack = segment.ack
    if segment.stamp is not None and server.stamped:
        client.last_stamp, client.zero_stamp = segment.stamp, segment.stamp == 0
        client.last_seconds = segment.seconds
        session.timestamps = True
    else:
        client.last_stamp = server.last_stamp = 0
        server.zero_stamp = False
    server.scale = segment.scale if session.scales and segment.scale is not None else 0
    client.next_win = (client.last_ack + client.window) & MASK
    server.next_win = (server.last_ack + server.window) & MASK
    return True


def _refused(session: Session, segment: Segment) -> bool:
    client = session.client
    if not valid_reset(session, segment):
        return False
    if segment.to_client:
        client.reset_received = True
        session.close_by_reset()
    elif segment.seq == client.isn and not segment.window and segment.ack == client.base:
        session.server.reset_received = True
        session.close_by_reset()
    return True


def _again(session: Session, segment: Segment) -> None:
    """Take another SYN: the client's again, or the server's own (both open at once)."""
    server = session.server
    if segment.to_client:
        session.four_way = True
        server.begin(segment.seq)
        server.next_seq = server.base
        if segment.stamp is not None:
            server.last_stamp, server.zero_stamp = segment.stamp, segment.stamp == 0
            server.last_seconds, server.stamped = segment.seconds, True
        server.window = segment.window
        session.scales = segment.scale is not None
        server.scale = segment.scale or 0
        session.sack_client = segment.sack_permitted
        return
    before = _syn_now(session)
    if _shape(segment) != _shape(before) or segment.stamp is None or segment.seconds != before.time_ns:
        _remember(session, segment, before)
    _take_syn(session, segment)
    _renumber(session, segment.seq)


def _shape(syn: Segment) -> tuple[object, ...]:
    return syn.seq, syn.window, syn.stamp, syn.scale, syn.sack_permitted


def _renumber(session: Session, isn: int) -> None:
    """Begin at another number, that of the SYN that counts now."""
    client = session.client
    if isn != client.isn and not client.segments.held:
        client.begin(isn)
        client.next_seq = client.base


def _syn_now(session: Session) -> Segment:
    """Return the SYN that counts at present; its time is in seconds, as the session keeps it."""
    client, server = session.client, session.server
    syn = Segment(False, SYN, client.isn, 0, server.window, b"", -1, client.last_seconds)
    syn.scale = server.scale if session.scales else None
    syn.sack_permitted = session.sack_client
    syn.stamp = client.last_stamp if client.stamped else None
    return syn


def _remember(session: Session, segment: Segment, syn: Segment) -> None:
    if any((known.seq, known.stamp) == (syn.seq, syn.stamp) for known in session.queue):
        return
    if len(session.queue) >= MAX_SYNS:
        session.event(segment, "3whs_syn_flood")
        return
    session.queue.append(syn)


def _one_sided(session: Session, segment: Segment) -> bool:
    client, server = session.client, session.server
    if segment.seq != client.next_seq:
        session.event(segment, "3whs_async_wrong_seq")
        return False
    session.one_sided = True
    session.enter(states.ESTABLISHED)
    session.queue.clear()
    client.window, client.last_ack = segment.window, segment.seq
    client.next_win = (client.last_ack + client.window) & MASK
    client.next_seq = (client.next_seq + segment.length) & MASK
    client.update_ack(client.next_seq)
    server.begin((segment.ack - 1) & MASK)
    server.next_seq = server.last_ack = server.next_win = segment.ack
    if session.scales:
        client.scale = MAX_SCALE
    if segment.stamp is not None and client.stamped:
        session.timestamps = True
        client.stamped, client.last_seconds = False, segment.seconds
    else:
        client.last_stamp, client.zero_stamp = 0, False
    session.out.segment(session, segment)
    session.out.release(session, client, segment.row, segment.time_ns)
    return True


Session.handlers.update({states.NONE: nothing, states.SYN_SENT: syn_sent})
