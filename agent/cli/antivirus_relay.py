"""`holdfast antivirus relay`: serve signed databases to the freshclam of other hosts, in the foreground."""

from pathlib import Path

import click

from agent.cli.text import plain
from contracts.errors import UsageError

FOLDER = "/var/lib/holdfast/steward/signatures"


@click.command()
@click.option("--listen", default="127.0.0.1:8446", show_default=True, metavar="ADDRESS:PORT", help="Where to listen.")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=FOLDER, show_default=True, help="Where the databases are."
)
def relay(listen: str, folder: Path) -> None:
    """Serve main, daily and bytecode.cvd to other hosts, unchanged; their freshclam checks the signatures itself."""
    from agent.relay import Relay

    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) < 65536:
        raise UsageError(f'"{listen}" is no address with port', advice="write 192.0.2.1:8446, or 0.0.0.0:8446")
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is no folder", advice="set antivirus.update.relay, then `holdfast antivirus update --force`"
        )
    server = Relay(host.strip("[]"), int(port), str(folder))
    click.echo(f"Serving {plain(folder)} on http://{listen}; end with Ctrl-C.")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
