"""Take the README's pictures of the console: log in by a one-time link and photograph the fleet and one server's page.

usage: screenshots.py LINK [FOLDER]     LINK as `holdfast console user link` prints it; needs Debian's chromium
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"


def main(words: list[str]) -> int:
    """Write `console-fleet.png` and `console-host.png`."""
    if not 1 <= len(words) <= 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(words[1]) if len(words) == 2 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 620}).new_page()
        page.goto(words[0])
        page.get_by_role("button").first.click()
        page.wait_for_url("**/")
        page.screenshot(path=folder / "console-fleet.png")
        page.locator('main a[href*="/agents/"]').first.click()
        page.wait_for_url("**/agents/*")
        page.set_viewport_size({"width": 1280, "height": 1500})
        page.wait_for_timeout(1500)
        page.screenshot(path=folder / "console-host.png")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
