"""The sensor on a real interface, with a core that a test plays; with the whole agent: tests/agent/test_traffic_end_to_end.py."""

import threading
import time
from collections.abc import Callable

import pytest

from agent.channel import Ending
from collectors.traffic import board, sensor
from collectors.traffic.options import Options
from host.linux import LinuxHost
from tests.collectors.traffic.netns import alone
from tests.collectors.traffic.protocols import flood
from tests.collectors.traffic.rules.engine import scene
from tests.collectors.traffic.test_ring import send
from tests.collectors.traffic.told import KEY, Told, rules

RULE = 'alert udp any any -> any any (msg:"n"; content:"needle"; sid:5;)\n'


def watched(body: Callable[[Told, LinuxHost], None], options: Options) -> None:
    sensor.prepare()
    host, told, stop = LinuxHost(), Told({"rules": rules(RULE), "cache": KEY}), Ending()
    one = sensor.Sensor(options, host, told)
    thread = threading.Thread(target=one.run, args=(stop,))
    thread.start()
    try:
        body(told, host)
    finally:
        stop.set()
        thread.join(60)
        one.close()
    assert not thread.is_alive()


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_packets_of_an_interface_become_alerts_and_settings_are_taken_on_the_way() -> None:
    def body() -> None:
        def act(told: Told, host: LinuxHost) -> None:
            until(lambda: "traffic.rules_loaded" in told.kinds())
            send("hfa", [scene.udp(b"a needle")])
            until(lambda: "traffic.alert" in told.kinds())
            (alert,) = [event for event in told.events if event.kind == "traffic.alert"]
            assert alert.fields["interface"] == "hfb"
            until(lambda: len(told.kept) >= 1)
            rows = board.of(host).rows(60.0)
            assert rows is not None and rows["interface hfb"].interface is not None
            told.tuned = Options(interfaces=("hfa", "hfb"), rules_every=1.0, repeat_after=1.0)
            until(lambda: "interface hfa" in (board.of(host).rows(5.0) or {}))
            assert not told.gaps, "the tables were not touched"
            told.tuned = Options(interfaces=("hfb",), rules_every=1.0, max_flows=2048, repeat_after=1.0)
            until(lambda: bool(told.gaps) and told.kinds().count("traffic.rules_loaded") == 2)
            send("hfa", [scene.udp(b"a needle")])
            until(lambda: told.kinds().count("traffic.alert") >= 2)

        watched(act, Options(interfaces=("hfb",), rules_every=1.0))

    alone(body)


def test_another_budget_for_what_has_not_ended_is_kept_to_from_the_next_look_on() -> None:
    def body() -> None:
        def act(told: Told, host: LinuxHost) -> None:
            def held() -> float:
                row = (board.of(host).rows(5.0) or {}).get("sensor")
                return row.sensor.bodies_bytes if row is not None and row.sensor is not None else -1.0

            until(lambda: "traffic.rules_loaded" in told.kinds())
            for number in range(100):
                send("hfa", list(flood.unfinished("noise", number)))
            until(lambda: told.kinds().count("traffic.bodies_cut") == 0 and held() > 1 << 20)
            told.tuned = Options(interfaces=("hfb",), rules_every=1.0, checksums=False, body_memory=1 << 20)
            until(lambda: told.tuned is None)
            for number in range(100, 110):
                send("hfa", list(flood.unfinished("noise", number)))
                time.sleep(0.3)
            until(lambda: "traffic.bodies_cut" in told.kinds())
            until(lambda: held() <= 1 << 20)
            assert not told.gaps, "the tables were not touched"

        # It is looked when a quarter of the budget has come.
        watched(act, Options(interfaces=("hfb",), rules_every=1.0, checksums=False, body_memory=4 << 20))

    alone(body)


def test_what_is_open_at_the_end_is_handed_over_or_told_when_there_is_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def body() -> None:
        heard: list[Told] = []

        def act(told: Told, host: LinuxHost) -> None:
            heard.append(told)
            until(lambda: "traffic.rules_loaded" in told.kinds())
            send("hfa", [scene.udp(b"a needle")])
            until(lambda: "traffic.alert" in told.kinds())

        options = Options(interfaces=("hfb",), rules_every=1.0, flow_records=1 << 20)
        monkeypatch.setattr(sensor, "FLUSH_S", 60.0)
        watched(act, options)
        (name,) = [name for name in heard[0].kept if name.startswith("flows/")]
        assert b'"dest_port":9999' in heard[0].kept[name] and b'"reason":"shutdown"' in heard[0].kept[name]
        assert not heard[0].gaps
        monkeypatch.setattr(sensor, "FLUSH_S", -1.0)
        watched(act, options)
        assert len(heard[1].gaps) == 1 and "open at the end" in heard[1].gaps[0]
        assert not [name for name in heard[1].kept if name.startswith("flows/")]
        (left,) = [event for event in heard[1].events if event.kind == "traffic.flow_records_left_out"]
        assert int(str(left.fields["count"])) >= 1

    alone(body)
