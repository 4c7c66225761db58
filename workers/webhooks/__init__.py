"""Delivering webhooks: signed, to allowed hosts at public addresses only, again and again until somebody takes them."""
