"""A recorded Docker host (Debian 12, iptables-nft, a bridge): the same rows wherever it is looked at."""

import json
from pathlib import Path

from collectors.firewall.datapath import DatapathCollector, Options
from contracts.snapshot import Snapshot, apply
from contracts.subjects.datapath import Row
from host.fake import FakeHost

RECORDED = Path(__file__).parents[2] / "fixtures" / "datapath" / "docker"


def test_a_recorded_docker_host_reads_whole() -> None:
    collector = DatapathCollector(Options())
    report = collector.collect(FakeHost(RECORDED), Snapshot(subject="datapath"))
    rows = dict(report.changes.put)
    assert report.blind == ()
    assert "-j DNAT" in rows["xtables ip nat DOCKER"].text
    assert json.loads(rows["vantage internet"].document)["interface"] == "eth0"
    assert 'vantage "docker0 172.17.0.0/16"' in rows
    assert rows["switch net.ipv4.ip_forward"].text == "1"
    for key, row in rows.items():
        if row.what == "xtables" and row.text:
            assert len(row.text.split("\n")) == len(rows[key.replace("xtables", "chain", 1)].order)


def test_a_second_look_at_it_finds_nothing_new() -> None:
    collector, host = DatapathCollector(Options()), FakeHost(RECORDED)
    rows: dict[str, Row] = apply({}, collector.collect(host, Snapshot(subject="datapath")).changes)
    assert not collector.collect(host, Snapshot(subject="datapath", revision=1, rows=rows)).changes
