"""An alert of the sensor reaches a real console: its store, and the page of the server."""

import json
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.agent.test_end_to_end import PATIENCE_S
from tests.agent.test_traffic_end_to_end import CLIENT, Site, site

__all__ = ["site"]

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))
PEOPLE, AGENTS = "127.0.0.1:8443", "127.0.0.1:8444"


class Console:
    """A real console in the victim's network namespace, and a person who is signed in to it."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site, self.folder = site, folder
        (folder / "console.yaml").write_text("")
        self.options = ("-c", str(folder / "console.yaml"), "--state-dir", str(folder / "state"))
        words = (HOLDFAST, "console", "serve", *self.options, "--people", PEOPLE, "--agents", AGENTS)
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(site.victim.argv(*words), stdout=log, stderr=log)
        self.until(lambda: self.page("/login") != "", 60)

    def until(self, holds: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + max(seconds, PATIENCE_S)
        while not holds():
            assert time.monotonic() < end and self.process.poll() is None, (self.folder / "log").read_text()[-3000:]
            time.sleep(0.1)

    def ask(self, *words: str) -> str:
        return self.site.victim.run(HOLDFAST, "console", *words, *self.options, "--json")

    def page(self, path: str, *words: str) -> str:
        jar = str(self.folder / "cookies")
        argv = ("curl", "-s", "-k", "-L", "-m", "20", "-b", jar, "-c", jar, *words, f"https://{PEOPLE}{path}")
        return self.site.victim.run(*argv, check=False)

    def sign_in(self) -> None:
        link = json.loads(self.ask("user", "link", "--people", PEOPLE))["link"]
        shown = self.page("/login/link" + link.partition("/login/link")[2])
        fields = dict(re.findall(r'name="(csrf|token)" value="([^"]+)"', shown))
        words = [word for name, value in fields.items() for word in ("--data-urlencode", f"{name}={value}")]
        answer = self.page("/login/link", "-H", f"Origin: https://{PEOPLE}", *words)
        assert "Sign in" not in answer, answer

    def stored(self, kind: str) -> int:
        with sqlite3.connect(f"file:{self.folder / 'state' / 'console.db'}?mode=ro", uri=True, timeout=10) as base:
            return int(base.execute("SELECT count(*) FROM events WHERE kind = ?", (kind,)).fetchone()[0])

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def console(site: Site, tmp_path: Path) -> Iterator[Console]:
    made = Console(site, tmp_path)
    try:
        yield made
    finally:
        made.end()


def test_an_alert_is_in_the_consoles_store_and_on_the_page_of_the_server(site: Site, console: Console) -> None:
    site.agent.configure(site.settings(every="1s"))
    token = json.loads(console.ask("token", "create"))["token"]
    site.victim.run(HOLDFAST, "enroll", f"https://{AGENTS}", "--token", token, "-c", str(site.agent.config))
    agent = site.agent.start()
    site.ready()
    assert site.curl("/") == 0
    site.curl("/?file=/etc/passwd")
    agent.event("traffic.alert", 30)
    console.until(lambda: console.stored("traffic.alert") == 1, 30)
    console.sign_in()
    server = re.search(r'href="(/agents/[^"/]+)"', console.page("/"))
    assert server is not None
    console.until(lambda: "HFL attack" in console.page(server[1]), 30)
    near = console.page(server[1]).partition("HFL attack")
    assert CLIENT in near[0][-1000:] + near[2][:1000], near
    console.until(lambda: "hflv" in traffic(console.page(server[1])), 30)


def traffic(page: str) -> str:
    """Return the part of the page that is about traffic."""
    return page.partition('id="traffic"')[2].partition("</section>")[0]
