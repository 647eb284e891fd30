"""What the firewall really does: a pure evaluator of rulesets, routes and switches, and what follows from it."""
