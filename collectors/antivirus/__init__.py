"""Looks at antivirus: which products there are, how old the signatures are that they work with, and what changes in watched folders."""
