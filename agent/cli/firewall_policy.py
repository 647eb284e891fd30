"""`holdfast firewall policy`: show the declared policy and how reality differs, put it on trial, confirm it, take it back."""

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
import msgspec

from agent.cli.reach import agent_option, control_socket, json_option
from agent.cli.text import plain, span, to_json
from agent.config import DEFAULT_PATH, load_agent
from agent.control import ask, stream
from agent.settings import AgentSettings
from contracts.errors import HoldfastError, Refused, Unreachable, UsageError
from contracts.policy import Policy, digest
from contracts.subjects import datapath, ports
from contracts.subjects.datapath import Row, Vantage
from contracts.subjects.policy import KEY
from contracts.subjects.policy import SUBJECT as POLICY
from contracts.subjects.policy_drift import CLOSED, OPEN, UNDECIDED, Difference
from contracts.subjects.ports import Listener

if TYPE_CHECKING:
    from agent.cli.policy_targets import Need
    from analysis.firewall.model import Datapath
    from analysis.firewall.policy_diff import Cut, InForce

_LOOK_S = 120.0
_CONSOLE_PORT = 443
_MOST_PORTS = 12
"""So many ports of one difference are named in its line; `--json` has all."""
_SIGNS = {OPEN: ("+", "red"), CLOSED: ("-", "yellow"), UNDECIDED: ("?", "yellow")}
_WORDS = {
    OPEN: "reachable now, not declared",
    CLOSED: "declared, not reachable now",
    UNDECIDED: "cannot be decided",
}


class WouldCut(Refused):
    """The policy would cut a connection that must not be cut."""


class NoPolicy(HoldfastError):
    """Nothing is declared."""

    exit_code = 78


def _found(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--config` and `--socket`; it is called with `config`, the configuration, and `path`, the control socket."""

    @functools.wraps(command)
    def run(config: Path, socket: Path | None, **rest: Any) -> Any:
        return command(config=config, path=socket or control_socket(config), **rest)

    by_socket = click.option(
        "--socket", type=click.Path(path_type=Path), envvar="HOLDFAST_CONTROL", help="The agent's control socket."
    )
    by_file = click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path),
        default=DEFAULT_PATH,
        envvar="HOLDFAST_CONFIG",
        show_default=True,
        help="The configuration that declares the policy; its agent is asked.",
    )
    return by_file(by_socket(run))


@click.group()
def policy() -> None:
    """Show the declared policy (firewall.policy) and how reality differs; apply it on trial, confirm it, take it back."""


@policy.command()
@_found
@json_option
@click.option("--look", is_flag=True, help="Look at the firewall first, instead of taking what was seen last.")
def plan(config: Path, path: Path, as_json: bool, look: bool) -> int:
    """Show the policy as nft and how reality differs; exit code 0 when it does not, 1 when it does."""
    from agent.cli.policy_targets import targets
    from analysis.firewall.policy import script
    from analysis.firewall.policy_diff import compare, cuts, in_force, reachable_ports

    settings = _settings(config)
    declared = settings.firewall.policy
    world, places = _datapath(path, look)
    listening = reachable_ports(_rows(path, ports.SUBJECT, Listener))
    found = compare(declared, world, places, listening)
    differences = found.differences
    wanted, unknown = targets(world, declared, _needs(settings, path))
    cut = cuts(declared, world, wanted)
    notes = [*_not_loaded(path, declared), *unknown]
    notes += [f"not judged from {place}: no route leads there" for place in found.not_judged]
    text, held = script(declared), in_force(world)
    if as_json:
        body = {
            "digest": digest(declared),
            "in_force": held,
            "nft": text,
            "differences": differences,
            "cuts": cut,
            "notes": notes,
        }
        click.echo(to_json(msgspec.to_builtins(body), indent=2))
        return int(bool(differences))
    click.echo(text)
    click.echo(_state(held, digest(declared)))
    for note in notes:
        click.secho(f"Note: {plain(note)}", fg="yellow")
    for each in differences:
        sign, colour = _SIGNS[each.change]
        click.secho(f"{sign} {plain(difference_line(each))}", fg=colour)
    for broken in cut:
        click.secho(f"! {plain(cut_line(broken))}", fg="red")
    if not differences:
        click.secho("Reality is as declared.", fg="green")
    return int(bool(differences))


@policy.command()
@_found
@json_option
@click.option(
    "--minutes", type=click.FloatRange(0.2, 60), default=2.0, show_default=True, help="How long the trial lasts."
)
@click.option("--yes-cut", is_flag=True, help="Apply although it cuts a connection that must not be cut.")
@click.option("--yes-cut-again", is_flag=True, help="Say so a second time.")
def apply(config: Path, path: Path, as_json: bool, minutes: float, yes_cut: bool, yes_cut_again: bool) -> None:
    """Load the policy on trial; without `policy confirm` in time the kernel itself returns to what was in force before."""
    from agent.cli.policy_targets import targets
    from analysis.firewall.policy_diff import cuts

    settings = _settings(config)
    declared = settings.firewall.policy
    if not declared.enforce:
        advice = f"set firewall.policy.enforce to true in {config}"
        raise Refused("the policy is declared, but not to be enforced", advice=advice)
    world, _ = _datapath(path, look=True)
    wanted, unknown = targets(world, declared, _needs(settings, path))
    seen = [*(cut_line(each) for each in cuts(declared, world, wanted)), *unknown]
    arguments = {
        "policy": msgspec.json.encode(declared).decode(),
        "seconds": round(minutes * 60),
        "cuts": seen,
        "told": yes_cut + (yes_cut and yes_cut_again),
    }
    ended = _ordered(path, "policy_apply", arguments)
    if not ended.get("ok") and ended["answer"].get("cuts"):
        _refuse(ended["answer"]["cuts"], yes_cut)
    answer = _answer(ended)
    if as_json:
        click.echo(to_json(answer, indent=2))
        return
    for note in _not_loaded(path, declared):
        click.secho(f"Note: {plain(note)}", fg="yellow", err=True)
    click.echo(f"Policy {answer['digest']} is on trial for {span(answer['seconds'])}.")
    click.echo("Open a new session to see that you still get in, then run: holdfast firewall policy confirm")
    click.echo("Otherwise the kernel returns to what was in force before, without anybody's help.")


@policy.command()
@agent_option
@json_option
@click.argument("wanted", metavar="[DIGEST]", default="")
def confirm(path: Path, as_json: bool, wanted: str) -> None:
    """Make the policy on trial permanent (the one with this digest, if given); exit code 2 when none, or another one, is on trial."""
    answer = do(path, "policy_confirm", {"digest": wanted})
    click.echo(
        to_json(answer, indent=2) if as_json else f"Policy {answer['digest']} holds from now on, and after boots."
    )


@policy.command()
@agent_option
@json_option
@click.option("--all", "everything", is_flag=True, help="Not the trial alone: remove the confirmed policy too.")
def revert(path: Path, as_json: bool, everything: bool) -> None:
    """End the trial at once, or with --all remove the policy altogether; exit code 2 when none is on trial."""
    answer = do(path, "policy_revert", {"all": everything})
    left = f"policy {answer['remaining']} is in force" if answer["remaining"] else "no policy of Holdfast is in force"
    click.echo(to_json(answer, indent=2) if as_json else f"Taken back: {answer['digest']}; {left}.")


def do(path: Path, action: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Have the agent carry out `action` for real and return its answer; raises what went wrong."""
    return _answer(_ordered(path, action, arguments))


def _ordered(path: Path, action: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Have the agent carry out `action` for real and return how it ended."""
    order = {"action": action, "arguments": dict(arguments), "dry_run": False}
    last: dict[str, Any]
    *_, last = stream(path, "do", order, _LOOK_S)  # progress first, the result last
    return last


def _answer(ended: Mapping[str, Any]) -> dict[str, Any]:
    if not ended.get("ok"):
        outcome = ended.get("outcome") or {}
        detail = str(outcome.get("detail") or outcome.get("error") or "it did not say why")
        failure = HoldfastError(plain(detail), advice=plain(outcome.get("fix") or ""))
        failure.exit_code = int((ended.get("answer") or {}).get("code") or failure.exit_code)
        raise failure
    answer: dict[str, Any] = ended["answer"]
    return {**answer, "summary": ended["summary"]}


def difference_line(each: Difference) -> str:
    """Return one disagreement in one line."""
    named = [str(port) for port in each.ports[:_MOST_PORTS]]
    if len(each.ports) > _MOST_PORTS:
        named.append(f"{len(each.ports) - _MOST_PORTS} more")
    shown = ", ".join([*named, *(["every other port"] if each.others else [])])
    services = f" ({', '.join(each.services)})" if each.services else ""
    reason = "; ".join(each.unknown) if each.change == UNDECIDED and each.unknown else each.why
    place = f" [{each.chain}]" if each.chain else ""
    where = f"from {each.vantage} to {each.address}"
    return f"{each.protocol} {shown}{services} over IPv{each.family} {where}: {_WORDS[each.change]}: {reason}{place}"


def cut_line(each: "Cut") -> str:
    """Return one connection that would be cut, and by which rule, in one line."""
    place = f" [{each.chain}]" if each.chain else ""
    return f"{'would cut' if each.certain else 'may cut'} {each.name}: {each.why}{place}"


def _state(held: "InForce", declared: str) -> str:
    """Return which policy the kernel holds, in one line."""
    named = {"": "no policy of Holdfast", declared: "this policy"}
    line = f"In force: {named.get(held.confirmed, f'another policy ({held.confirmed})')}"
    return f"{line}; on trial: {named.get(held.trial, f'another one ({held.trial})')}" if held.trial else line


def _refuse(cut: list[str], yes: bool) -> None:
    """Show what the agent would not cut and raise `WouldCut`."""
    for line in cut:
        click.secho(f"! {plain(line)}", fg="red", err=True)
    if yes:
        advice = "say it a second time with --yes-cut-again if you can reach this server otherwise"
        raise WouldCut("the policy would cut what is named above", advice=advice)
    advice = "let it in, or say twice that it may be cut: --yes-cut --yes-cut-again"
    raise WouldCut("the policy would cut what is named above, and was not applied", advice=advice)


def _settings(config: Path) -> AgentSettings:
    """Return the configuration, which declares a policy; raises `NoPolicy`, `ConfigErrors`."""
    from agent import wiring

    settings = load_agent(config, wiring.vocabulary()).value
    if not settings.firewall.policy.declared:
        advice = f"declare services under firewall.policy in {config}, for example: ssh: {{ports: [22]}}"
        raise NoPolicy(f"{config} declares no policy", advice=advice)
    return settings


def _not_loaded(path: Path, declared: Policy) -> Iterator[str]:
    """Yield a note when the running agent was configured with another policy, which is the one that it judges by."""
    rows = ask(path, "subject", {"subject": POLICY}).get("rows") or {}
    if (rows.get(KEY) or {}).get("digest") != digest(declared):
        yield "the running agent judges by another policy; reload it: systemctl reload holdfast-agent"


def _datapath(path: Path, look: bool) -> "tuple[Datapath, tuple[Vantage, ...]]":
    from analysis.exposure import vantages
    from analysis.firewall.reading import read

    if look:
        ended = ask(path, "look", {"subject": datapath.SUBJECT}, timeout_s=_LOOK_S).get("outcome") or {}
        detail = ended.get("detail") or ended.get("error")
        if detail:
            raise Unreachable(f"the firewall cannot be seen now: {plain(detail)}", advice="see `holdfast coverage`")
    rows = _rows(path, datapath.SUBJECT, Row)
    if not rows:
        raise Unreachable("the firewall has not been seen yet", advice="see why with `holdfast coverage`")
    return read(rows), vantages(rows)


def _rows(path: Path, subject: str, kind: type[Any]) -> dict[str, Any]:
    try:
        answer = ask(path, "subject", {"subject": subject})
    except UsageError:
        return {}
    return {key: msgspec.convert(row, kind) for key, row in (answer.get("rows") or {}).items()}


def _needs(settings: AgentSettings, path: Path) -> "Iterator[Need]":
    """Yield the console that the agent reports to, and where backups go."""
    from agent.cli.policy_targets import Need
    from agent.standing import backup_targets

    url = str((ask(path, "status", {}).get("console") or {}).get("url") or "")
    parts = urlsplit(url)
    if parts.hostname:
        yield Need(f"the console {url}", parts.hostname, parts.port or _CONSOLE_PORT)
    for job, host, port in backup_targets(settings):
        yield Need(f"the backup target {host} of {job}", host, port)
