"""The sensor's numbers as metrics: what it read, what the kernel dropped, flows, rules, alerts, by the rows of its last look."""

from collections.abc import Iterator, Mapping

import msgspec

from agent.outputs.prometheus import Family, Sample
from contracts.subjects.traffic import SUBJECT as SUBJECT
from contracts.subjects.traffic import Row, Rules, Sensor

_COUNTERS: tuple[tuple[str, str, str], ...] = (
    ("packets", "packets_total", "Packets that the sensor has read."),
    ("bytes", "bytes_total", "Bytes on the wire of these."),
    ("flows_begun", "flows_total", "Flows that have begun."),
    ("flows_evicted", "flows_evicted_total", "Flows given up for lack of room."),
    ("alerts", "alerts_total", "Alerts of rules."),
    ("held_back", "alerts_held_back_total", "Alerts that were counted instead of stated."),
    ("findings", "findings_total", "Findings of detectors that were told."),
    ("findings_repeated", "findings_repeated_total", "Findings equal to one that had just been told."),
    ("findings_banned", "findings_banned_total", "Findings about senders that were banned already."),
    ("undecoded", "packets_malformed_total", "Packets that could not be decoded as far as they went."),
    ("flow_records", "flow_records_total", "Records made of flows that ended."),
    ("flow_records_left_out", "flow_records_left_out_total", "Flows that ended without a record: too many at once."),
    ("bodies_cut", "bodies_cut_total", "Conversations of which something was cut: too much had not ended."),
    ("parsers_broken", "parsers_broken_total", "Conversations that a parser gave up."),
)
_GAUGES: tuple[tuple[str, str, str], ...] = (
    ("flows", "flows_open", "Flows that are known now."),
    ("memory_bytes", "memory_bytes", "Memory of the tables of flows and streams."),
    ("bodies_bytes", "bodies_bytes", "Memory of requests, answers, bodies and files that have not ended."),
)
_RULES: tuple[tuple[str, str], ...] = (("loaded", "in_use"), ("refused", "refused"))


def families(rows: Mapping[str, bytes]) -> Iterator[Family]:
    """Yield the metrics of the subject `traffic`, none where nobody watches traffic."""
    decode = msgspec.msgpack.Decoder(Row).decode
    found = {key: decode(row) for key, row in rows.items()}
    for row in found.values():
        if row.sensor is not None:
            yield from _sensor(row.sensor)
        if row.rules is not None:
            yield _rules(row.rules)
    known = [(key.partition(" ")[2], row.interface) for key, row in sorted(found.items()) if row.interface is not None]
    for field, name, text in (
        ("seen", "interface_packets_total", "Packets that the kernel had for the sensor."),
        ("dropped", "interface_dropped_total", "Packets that the kernel dropped before the sensor had read them."),
        ("freezes", "interface_ring_full_total", "How often the ring of an interface was full."),
    ):
        samples = [Sample(value=getattr(one, field), labels={"interface": interface}) for interface, one in known]
        yield Family(name=f"traffic_{name}", help=text, type="counter", samples=tuple(samples))
    up = [
        Sample(value=int(one.present and not one.standstill), labels={"interface": interface})
        for interface, one in known
    ]
    text = "Whether packets can come over the interface: it is there, up and has a carrier."
    yield Family(name="traffic_interface_up", help=text, type="gauge", samples=tuple(up))


def _sensor(sensor: Sensor) -> Iterator[Family]:
    for field, name, text in _COUNTERS:
        yield Family(name=f"traffic_{name}", help=text, type="counter", samples=(Sample(value=getattr(sensor, field)),))
    for field, name, text in _GAUGES:
        yield Family(name=f"traffic_{name}", help=text, type="gauge", samples=(Sample(value=getattr(sensor, field)),))
    lag = (Sample(value=sensor.lag_ms / 1000),)
    yield Family(
        name="traffic_lag_seconds", help="From a packet to the end of the work on it.", type="gauge", samples=lag
    )


def _rules(rules: Rules) -> Family:
    samples = tuple(Sample(value=getattr(rules, field), labels={"state": state}) for field, state in _RULES)
    return Family(name="traffic_rules", help="Rules by what became of them.", type="gauge", samples=samples)
