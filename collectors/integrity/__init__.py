"""Watches files that matter: what changed, who brought it, whether a package accounts for it."""
