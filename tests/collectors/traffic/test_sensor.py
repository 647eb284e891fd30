"""The sensor on a real interface, with a core that a test plays; with the whole agent: tests/agent/test_traffic_end_to_end.py."""

import threading
import time
from collections.abc import Callable

from agent.channel import Ending
from collectors.traffic import board, sensor
from collectors.traffic.options import Options
from host.linux import LinuxHost
from tests.collectors.traffic.netns import alone
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
        thread.join(10)
        one.close()
    assert not thread.is_alive()


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_packets_of_an_interface_become_alerts_and_settings_are_taken_on_the_way() -> None:
    def body() -> None:
        def act(told: Told, host: LinuxHost) -> None:
            until(lambda: "traffic.rules_loaded" in told.kinds())
            send("hfa", [scene.udp(b"a needle")])
            until(lambda: "traffic.alert" in told.kinds())
            assert told.events[-1].fields["interface"] == "hfb" and len(told.kept) >= 1
            rows = board.of(host).rows(5.0)
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
