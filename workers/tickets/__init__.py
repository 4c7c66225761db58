"""Rotates the keys that encrypt TLS session tickets on a fleet of HAProxy nodes."""
