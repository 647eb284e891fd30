"""What is open is named: generated rulesets, read from the kernel, with limits put into their rules and chains moved to one priority.

No packet is sent: what a limit does nobody can foretell, but every answer that hangs on one has to say so.
"""

import json
import os
import random
from collections.abc import Iterator, Mapping

import msgspec

from analysis.firewall.evaluate import evaluate
from analysis.firewall.probe import Verdict
from analysis.firewall.reading import read
from contracts.subjects.datapath import Row
from tests.analysis.firewall.kernel.agreement import Disagreement, names_something
from tests.analysis.firewall.kernel.choosing import Seeded
from tests.analysis.firewall.kernel.probing import Outcome, Prober, Shot
from tests.analysis.firewall.kernel.rulesets import Ruleset
from tests.analysis.firewall.kernel.strategies import draw_round
from tests.analysis.firewall.kernel.topology import SWITCHES, World

RULESETS = int(os.environ.get("HOLDFAST_RULESETS", "150")) // 5
SEED = int(os.environ.get("HOLDFAST_SEED", "3"))
WAYS = (True, False, False, False)
"""Ways to open a ruleset: with limits, or without; then everything that is uncertain is so for another reason, to be named as well."""
LIMIT = {"limit": {"rate": 5, "burst": 5, "per": "second"}}
MARK = {"meta": {"key": "mark"}}
ORDERED = (
    {"mangle": {"key": MARK, "value": 1}},
    {"mangle": {"key": MARK, "value": 2}},
    {"match": {"op": "==", "left": MARK, "right": 1}},
    {"match": {"op": "!=", "left": MARK, "right": 1}},
)
"""What makes the order of chains matter."""


def opened(rows: Mapping[str, Row], chance: random.Random, *, limits: bool) -> dict[str, Row]:
    """Return the rows of a ruleset with limits in some of its rules, or with marks, and most of its chains at one place of one hook."""
    found = {}
    for key, row in rows.items():
        document = json.loads(row.document) if row.what in ("rule", "chain") and row.document else {}
        if "expr" in document and chance.random() < 0.4:
            place = chance.choice((0, 0, len(document["expr"]) // 2))
            document["expr"].insert(place, LIMIT if limits else chance.choice(ORDERED))
            row = msgspec.structs.replace(row, document=json.dumps(document))
        elif "prio" in document and document["type"] == "filter" and document["family"] != "netdev" and not limits:
            document |= {"hook": "input", "prio": 0} if chance.random() < 0.8 else {}
            row = msgspec.structs.replace(row, document=json.dumps(document))
        found[key] = row
    return found


def generated(world: World, prober: Prober) -> Iterator[tuple[Ruleset, list[Shot], dict[str, Row]]]:
    for number in range(RULESETS):
        ruleset, shots = draw_round(Seeded(f"{SEED}/naming/{number}"))
        if not world.loader.ask(do="load", **ruleset.order(SWITCHES)):
            rows = world.loader.ask(do="rows")
            if "rows" in rows:
                yield ruleset, prober.aim(shots), msgspec.convert(rows["rows"], dict[str, Row])


def test_every_uncertain_answer_names_what_it_does_not_know(world: World, prober: Prober) -> None:
    uncertain = 0
    for ruleset, shots, rows in generated(world, prober):
        for way, limits in enumerate(WAYS):
            changed = opened(rows, random.Random(f"{SEED} {way}"), limits=limits)
            answers = evaluate(read(changed), [shot.probe for shot in shots])
            for number, shot in enumerate(shots):
                answer = answers.answer(number)
                uncertain += answer.verdict is Verdict.UNCERTAIN
                named = answer.verdict is not Verdict.UNCERTAIN or names_something(answer)
                assert named, f"way {way}: {Disagreement(ruleset, shot, answer, Outcome(False)).report()}"
    assert uncertain > RULESETS * len(WAYS) * 2, "nothing was left open"
