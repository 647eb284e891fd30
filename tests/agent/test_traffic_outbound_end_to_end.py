"""Much data leaves a server: the sensor sees how much, the reader whose it is, and a judge joins the two."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.agent.test_traffic_end_to_end import CLIENT, SERVER, Site, site

__all__ = ["site"]

SINK = f"""
import socket, threading
listener = socket.create_server(("{CLIENT}", 9443))
print("open", flush=True)
def take(one):
    while one.recv(1 << 20):
        pass
while True:
    threading.Thread(target=take, args=(listener.accept()[0],), daemon=True).start()
"""
SEND = f"""
import socket, sys
s = socket.create_connection(("{CLIENT}", 9443))
s.sendall(bytes(12_000_000))
if sys.argv[1] == "stay":
    print("sent", flush=True)
    sys.stdin.readline()
"""
DETECTORS = f"{{home: [{SERVER}/32], volume: {{sent: 5000000, usual: 1}}}}"


def owners(one: Site) -> list[dict[str, object]]:
    return [each["event"]["fields"] for each in one.agent.ask("events", kind="traffic.outbound_owner")]


def test_the_process_that_sends_is_named_and_one_that_is_gone_is_not_guessed(site: Site) -> None:
    agent = site.start(detectors=DETECTORS)
    with subprocess.Popen(site.attacker.argv(sys.executable, "-c", SINK), stdout=subprocess.PIPE, text=True) as sink:
        try:
            assert sink.stdout is not None and sink.stdout.readline() == "open\n"
            stay = site.victim.argv(sys.executable, "-c", SEND, "stay")
            with subprocess.Popen(stay, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sender:
                assert sender.stdout is not None and sender.stdout.readline() == "sent\n"
                finding = agent.event("traffic.outbound_volume_unusual", 30)["fields"]
                agent.until(lambda: bool(owners(site)), 30)
                (fields,) = owners(site)
                assert (fields["subject"], fields["local"]) == (finding["subject"], finding["local"])
                assert (fields["subject"], fields["local"]) == (f"{CLIENT}:9443/tcp", SERVER)
                assert fields["owner_known"] is True and fields["pids"] == [str(sender.pid)]
                assert fields["executable"] == str(Path(f"/proc/{sender.pid}/exe").readlink())
                assert fields["user"] == "root" and int(str(fields["bytes_of_process"])) >= 12_000_000
                assert int(str(fields["bytes_out"])) >= 5_000_000 and os.getpid() != sender.pid
                sender.kill()
        finally:
            sink.kill()


def test_a_sender_that_has_gone_is_not_guessed(site: Site) -> None:
    agent = site.start(detectors=DETECTORS)
    with subprocess.Popen(site.attacker.argv(sys.executable, "-c", SINK), stdout=subprocess.PIPE, text=True) as sink:
        try:
            assert sink.stdout is not None and sink.stdout.readline() == "open\n"
            # The reader is told of it a moment after the process has ended, and its connection with it.
            reader = agent.worker("reader")["pid"]
            os.kill(reader, signal.SIGSTOP)
            site.victim.run(sys.executable, "-c", SEND, "go")
            agent.event("traffic.outbound_volume_unusual", 30)
            os.kill(reader, signal.SIGCONT)
            agent.until(lambda: bool(owners(site)), 40)
            (fields,) = owners(site)
            assert fields["owner_known"] is False and fields["process"] == "" and fields["pids"] == []
            assert "no connection between these ends" in str(fields["detail"])
        finally:
            sink.kill()
