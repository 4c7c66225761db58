"""Attacks on the sandbox of this machine, and what became of each."""
