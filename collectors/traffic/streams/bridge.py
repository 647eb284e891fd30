"""Between the two ways: a session's columns become an object when something asks for care, and columns again when all is in order."""

from typing import Final

from collectors.traffic.streams import columns as codes
from collectors.traffic.streams import state as states
from collectors.traffic.streams.columns import SessionColumns
from collectors.traffic.streams.delivery import Delivery
from collectors.traffic.streams.numbers import MASK
from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.policy import Policy
from collectors.traffic.streams.session import Session
from collectors.traffic.streams.side import Side

_SIMPLE: Final = {
    codes.NOTHING: states.NONE,
    codes.SYN_SENT: states.SYN_SENT,
    codes.SYN_RECV: states.SYN_RECV,
    codes.FINISHED: states.CLOSED,
    codes.RESET: states.CLOSED,
    codes.REFUSED: states.CLOSED,
}


def lift(
    known: SessionColumns,
    slot: int,
    held: tuple[bytes, bytes],
    options: StreamOptions,
    policy: Policy,
    out: Delivery,
) -> Session:
    """Return the session of a slot as an object; `held` is what waits in both directions (counted in `out` already)."""
    session = Session(slot, options, policy, out)
    code = int(known.code[slot])
    if code == codes.NOTHING:
        return session
    pairs = known.take(slot)
    session.scales = pairs["scale"][1] >= 0
    session.timestamps = bool(known.stamped[slot])
    session.midstream = bool(known.loose[slot])
    # The server has said something behind its SYN/ACK.
    session.confirmed = code == codes.OPEN and (pairs["next"][1] > 0 or pairs["acked"][0] > 0)
    for way, side in enumerate((session.client, session.server)):
        _fill(side, {name: pair[way] for name, pair in pairs.items()}, bool(known.ended[way, slot]), held[way])
    session.state = _SIMPLE.get(code) or _open_state(pairs)
    session.before = states.ESTABLISHED
    _adjust(session, code)
    return session


def _fill(side: Side, values: dict[str, int], ended: bool, held: bytes) -> None:
    base = values["base"] & MASK
    side.isn, side.base = (base - 1) & MASK, base
    side.released, side.ended = values["released"], ended
    side.next_seq = (base + values["next"]) & MASK
    side.last_ack = (base + values["acked"]) & MASK
    side.next_win = (base + values["limit"]) & MASK
    side.window, side.scale = values["window"], max(values["scale"], 0)
    side.stamped = values["stamp"] >= 0
    side.last_stamp, side.last_seconds = max(values["stamp"], 0), values["seconds"]
    side.fin = values["fin"] if values["fin"] >= 0 else None
    if held:
        side.segments.insert(side.released, held, side.policy)


def _open_state(pairs: dict[str, list[int]]) -> int:
    """Return where between open and closed a session is, by its FINs and what of them is acknowledged."""
    client, server = (fin >= 0 for fin in pairs["fin"])
    if client and server:
        return states.LAST_ACK if pairs["acked"][0] >= pairs["next"][0] else states.TIME_WAIT
    if client:
        return states.CLOSE_WAIT
    if not server:
        return states.ESTABLISHED
    return states.FIN_WAIT2 if pairs["acked"][1] >= pairs["next"][1] else states.FIN_WAIT1


def _adjust(session: Session, code: int) -> None:
    """Set what the careful way keeps otherwise: which FINs it counts, and what is not known before the SYN/ACK."""
    client, server = session.client, session.server
    if client.fin is not None:
        client.next_seq = (client.next_seq - 1) & MASK
    if session.state == states.LAST_ACK:
        server.next_seq = (server.next_seq - 1) & MASK
    if code in (codes.SYN_SENT, codes.REFUSED):
        client.last_ack = client.next_win = 0
        server.isn = server.base = server.next_seq = server.last_ack = server.next_win = 0
    if code == codes.REFUSED:
        session.before, client.reset_received = states.SYN_SENT, True
    elif code == codes.RESET:
        session.closed_by_reset = True
    elif code == codes.FINISHED:
        session.before = states.LAST_ACK


def settle(session: Session, known: SessionColumns) -> tuple[bytes, bytes] | None:
    """Put a session that is in order again into its slot's columns; returns what waits in both directions, None when it is not."""
    if not _in_order(session):
        return None
    slot = session.slot
    client, server = session.client, session.server
    known.code[slot], known.stamped[slot], known.loose[slot] = codes.OPEN, session.timestamps, session.midstream
    known.ended[:, slot] = client.ended, server.ended
    sent = client.offset(client.next_seq), server.offset(server.next_seq)
    known.put(
        slot,
        {
            "base": (client.base, server.base),
            "next": sent,
            "acked": (client.offset(client.last_ack), server.offset(server.last_ack)),
            "limit": (client.offset(client.next_win), server.offset(server.next_win)),
            "window": (client.window, server.window),
            "scale": (client.scale, server.scale),
            "stamp": (client.last_stamp, server.last_stamp) if session.timestamps else (-1, -1),
            "seconds": (client.last_seconds, server.last_seconds),
            "released": (client.released, server.released),
            "fin": (-1, -1),
        },
    )
    return client.segments.take(client.released, sent[0]), server.segments.take(server.released, sent[1])


def _in_order(session: Session) -> bool:
    if session.state != states.ESTABLISHED or session.one_sided or session.four_way or session.midstream_open:
        return False
    if session.probe_to_client or session.probe_to_server or session.async_oneside or session.queue:
        return False
    return all(_side_in_order(session, side) for side in (session.client, session.server))


def _side_in_order(session: Session, side: Side) -> bool:
    if side.fin is not None or side.reset_received or side.zero_stamp or side.removed or side.urgent or side.keep_alive:
        return False
    if side.depth_reached and not side.ended:
        return False
    sent, acked = side.offset(side.next_seq), side.offset(side.last_ack)
    if acked > sent or (session.timestamps and not side.last_stamp):
        return False
    return side.ended or side.segments.contiguous(side.released) == sent
