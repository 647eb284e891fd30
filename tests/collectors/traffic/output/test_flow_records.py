"""Records of flows that ended."""

import json

from collectors.traffic.block import from_packets
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.flows.table import FlowOptions, FlowTable
from collectors.traffic.output import flow_records
from collectors.traffic.output.flow_records import PIECE_S, FlowRecords
from tests.collectors.traffic.rules.engine import scene


def ended(*packets):
    flows = FlowTable(FlowOptions())
    block = from_packets(list(packets), time_ns=[scene.START + number * 10**9 for number in range(len(packets))])
    flows.update(block, Decoder(DecodeOptions()).decode(block))
    return flows.shut_down()


def test_a_flow_is_a_record_of_suricata_s_shape_handed_over_when_its_piece_is_old_or_large(monkeypatch):
    kept = {}
    records = FlowRecords(kept.__setitem__)
    records.tick(0.0, 1)
    assert not kept, "nothing ended"
    records.take([ended(*scene.Talk().ask(b"x").close().packets)], 5.0)
    records.tick(6.0, 2)
    assert not kept
    records.tick(5.0 + PIECE_S, 3)
    (one,) = [json.loads(line) for line in kept["3-000001.ndjson"].splitlines()]
    assert (one["event_type"], one["proto"], one["dest_port"], one["src_ip"]) == ("flow", "TCP", 80, scene.CLIENT)
    assert one["flow"]["pkts_toserver"] > 2 and one["flow"]["reason"] == "shutdown" and one["flow"]["age"] > 0
    monkeypatch.setattr(flow_records, "MOST_PER_BLOCK", 3)
    records.take([ended(*(scene.udp(b"x", sport=port) for port in range(1, 11)))], 70.0)
    records.tick(71.0, 4, at_end=True)
    assert (len(kept["4-000002.ndjson"].splitlines()), records.left_out, records.made) == (3, 7, 4)
