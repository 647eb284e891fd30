"""`holdfast traffic status`, from an answer as the agent gives it."""

from agent.cli.traffic_status import lines

SENSOR = {
    "since_ms": 0, "packets": 100, "bytes": 2048, "packets_per_s": 12.4, "bytes_per_s": 900.0, "flows": 3, "flows_begun": 9,
    "flows_evicted": 2, "emergency": True, "memory_bytes": 1 << 20, "lag_ms": 61.0, "alerts": 5, "held_back": 2, "discarded": 1,
    "banned": 4, "suppressed": 0, "undecoded": 0, "parsers_broken": 0, "encrypted": 1, "encrypted_share": 40.0, "evidence": 3,
    "evidence_left_out": 0, "findings": 7, "findings_repeated": 8, "findings_banned": 9, "code": "uncompiled (not built)",
    "bodies_bytes": 3 << 20, "bodies_cut": 6,
}  # fmt: skip
RULES = {
    "loaded": 10, "refused": 1, "loaded_ms": 0, "seconds": 1.0, "cached": True, "loading": True, "problem": "bad \x1b[31m",
}  # fmt: skip
ROWS = {
    "sensor": {"what": "sensor", "sensor": SENSOR},
    "rules": {"what": "rules", "rules": RULES},
    "interface eth0": {
        "what": "interface",
        "interface": {"present": False, "seen": 9, "dropped": 4, "drop_share": 44.4},
    },
    "interface eth1": {"what": "interface", "interface": {"standstill": "no carrier"}},
    "peer 192.0.2.1": {"what": "peer", "peer": {"bytes_sent": 2048}},
    "protocol http": {"what": "protocol", "protocol": {"conversations": 3}},
}


def test_all_numbers_are_told_and_what_is_not_seen_comes_first() -> None:
    sight = {
        "state": "partial",
        "blind": [{"what": "all packets of eth0", "why": "too_large", "detail": "dropped", "fix": "More."}],
    }
    text = list(lines(True, sight, 0, ROWS))
    assert text[0].startswith("Sensor: ") and "watching" in text[0]
    assert "cannot see all packets of eth0: dropped" in text[1]
    whole = "\n".join(text)
    for part in (
        "12 packets/s",
        "2 given up, in an emergency",
        "61 ms",
        "3 MiB of requests, bodies and files, 6 conversations cut",
        "uncompiled (not built)",
        "5: 2 counted",
        "4 of banned sources",
        "7 of detectors; 8 not told again, as equal ones had been, 9 of banned sources",
        "10 in use, 1 refused",
        "from the cache, others are being loaded",
        "eth0 (not there)",
        "eth1 (no carrier)",
        "44.40 %",
        "192.0.2.1",
        "http",
    ):
        assert part in whole, part
    assert "bad \N{REPLACEMENT CHARACTER}[31m" in whole, "a rule file cannot drive the terminal"


def test_a_sensor_that_does_not_watch_says_of_when_its_numbers_are() -> None:
    text = list(lines(False, {"blind": []}, 0, {}))
    assert "not watching" in text[0] and "the numbers are of never" in text[0] and len(text) == 1
