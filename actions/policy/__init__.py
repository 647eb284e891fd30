"""Deeds on the declared policy of the firewall: apply on trial, confirm, revert; and the guard that restores what was accepted."""
