"""Take away a capability, a tool or a path from a worker: command and page name exactly what was lost, and it is given back."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Page, expect, sync_playwright

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Loss:
    """A drop-in that takes something from a worker, and what coverage must say of it."""

    name: str
    unit: str
    drop_in: str
    subject: str
    states: tuple[str, ...]
    words: tuple[str, ...]


def _only(*capabilities: str) -> str:
    """Return the drop-in that leaves a worker these capabilities alone."""
    kept = " ".join(capabilities)
    return f"CapabilityBoundingSet=\nCapabilityBoundingSet={kept}\nAmbientCapabilities=\nAmbientCapabilities={kept}"


LOSSES = (
    Loss("no CAP_NET_ADMIN", "holdfast-netfilter",
         _only("CAP_NET_RAW", "CAP_DAC_READ_SEARCH"),
         "firewall", ("unseen", "partial"), ("CAP_NET_ADMIN",)),
    Loss("no CAP_NET_RAW", "holdfast-netfilter", _only("CAP_NET_ADMIN", "CAP_DAC_READ_SEARCH"), "firewall",
         ("partial",), ("CAP_NET_RAW",)),
    Loss("no CAP_DAC_READ_SEARCH for the firewall", "holdfast-netfilter", _only("CAP_NET_ADMIN", "CAP_NET_RAW"), "firewall",
         ("partial",), ("CAP_DAC_READ_SEARCH",)),
    Loss("no legacy iptables", "holdfast-netfilter", "InaccessiblePaths=/usr/sbin/xtables-legacy-multi", "firewall",
         ("partial",), ("legacy",)),
    Loss("no nft", "holdfast-netfilter", "InaccessiblePaths=/usr/sbin/nft", "firewall", ("unseen", "partial"), ("nft",)),
    Loss("no iptables", "holdfast-netfilter", "InaccessiblePaths=/usr/sbin/xtables-nft-multi", "firewall",
         ("unseen", "partial"), ("iptables",)),
    Loss("no iproute2", "holdfast-netfilter", "InaccessiblePaths=/usr/bin/ip", "datapath", ("partial",), ("links and addresses",)),
    Loss("no tc", "holdfast-netfilter", "InaccessiblePaths=/usr/sbin/tc", "datapath", ("partial",), ("filters of tc",)),
    Loss("no bpf", "holdfast-netfilter", "SystemCallFilter=~bpf", "datapath", ("partial",), ("bpf(2)",)),
    Loss("no CAP_SYS_PTRACE", "holdfast-reader",
         _only("CAP_DAC_READ_SEARCH"),
         "ports", ("partial",), ("CAP_SYS_PTRACE",)),
    Loss("no CAP_DAC_READ_SEARCH", "holdfast-reader",
         _only("CAP_SYS_PTRACE"),
         "ports", ("partial",), ("CAP_DAC_READ_SEARCH",)),
    Loss("no package database", "holdfast-reader", "InaccessiblePaths=/var/lib/dpkg", "ports", ("partial",), ("package",)),
    Loss("no netlink", "holdfast-reader", "RestrictAddressFamilies=\nRestrictAddressFamilies=AF_UNIX", "ports",
         ("unseen", "partial"), ("netlink", "socket")),
)  # fmt: skip


@pytest.fixture(scope="module")
def agent(container):
    """A running agent that sees everything it should."""
    # The console listens, so that there are owners, executables and packages to be seen or not.
    container.run("systemctl", "start", "holdfast-console.service")
    if not json.loads(container.run("holdfast", "console", "agents", "list", "--json").stdout):
        token = json.loads(container.run("holdfast", "console", "token", "create", "--json").stdout)["token"]
        container.run("holdfast", "enroll", "https://127.0.0.1:8444", "--token", token)
    with container.impatient_core():  # its workers end twice in each test
        container.wait_for(
            lambda: _sight(container, "firewall")["state"] == "seen" and _sight(container, "ports")["state"] == "seen",
            f"whole sight, not {_coverage(container)}",
        )
        yield container


@pytest.fixture(scope="module")
def host_page(agent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The host's page in a Chromium that shares the container's network, and nothing else of it."""
    wrapped = tmp_path_factory.mktemp("browser") / "chromium"
    wrapped.write_text(f'#!/bin/sh\nexec nsenter --net=/proc/{agent.leader}/ns/net /usr/bin/chromium "$@"\n')
    wrapped.chmod(0o755)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=Path(wrapped), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(ignore_https_errors=True).new_page()
        page.goto(json.loads(agent.run("holdfast", "console", "user", "link", "--json").stdout)["link"])
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Fleet")).to_be_visible()
        agent_id = json.loads(agent.run("holdfast", "status", "--json").stdout)["agent"]
        page.goto(urljoin(page.url, f"/agents/{agent_id}"))
        assert page.locator("#coverage").count(), f"{page.url}: {page.locator('body').inner_text()}"
        yield page
        browser.close()


def _coverage(container) -> dict:
    done = container.run("holdfast", "coverage", "--json", check=False)
    return json.loads(done.stdout) if done.stdout.strip() else {"sights": []}


def _sight(container, subject: str) -> dict:
    return next((sight for sight in _coverage(container)["sights"] if sight["subject"] == subject), {"state": "absent"})


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_what_is_taken_away_is_named(agent, host_page: Page, loss: Loss) -> None:
    folder = f"/run/systemd/system/{loss.unit}.service.d"
    agent.run("mkdir", "-p", folder)
    agent.run("tee", f"{folder}/loss.conf", text=f"[Service]\n{loss.drop_in}\n")
    try:
        agent.run("systemctl", "daemon-reload")
        agent.run("systemctl", "stop", f"{loss.unit}.service")
        agent.wait_for(lambda: _says(agent, loss), f"{loss.words} in {_sight(agent, loss.subject)}")
        assert _sight(agent, loss.subject)["state"] in loss.states
        assert all(spot["fix"] for spot in _sight(agent, loss.subject)["blind"])
        text = agent.run("holdfast", "coverage").stdout
        assert any(word.lower() in text.lower() for word in loss.words)
        _shown_on(host_page, agent, loss)
    finally:
        agent.run("rm", "-r", folder)
        agent.run("systemctl", "daemon-reload")
        agent.run("systemctl", "stop", f"{loss.unit}.service")
    agent.wait_for(
        lambda: _sight(agent, loss.subject)["state"] == "seen", f"sight restored: {_sight(agent, loss.subject)}"
    )


def _says(container, loss: Loss) -> bool:
    sight = _sight(container, loss.subject)
    text = json.dumps(sight.get("blind", [])).lower()
    return sight["state"] in loss.states and any(word.lower() in text for word in loss.words)


def _shown_on(page: Page, container, loss: Loss) -> None:
    """Wait until the page, which nobody reloads, names each blind spot with its reason and its fix."""
    sheet = page.locator("#coverage")
    container.wait_for(
        lambda: all(
            spot["what"] in sheet.inner_text() and spot["fix"] in sheet.inner_text()
            for spot in _sight(container, loss.subject)["blind"]
        ),
        f"{loss.name} on the page, which says: {sheet.inner_text()}",
    )
    assert any(word.lower() in sheet.inner_text().lower() for word in loss.words)
