"""Delivers webhooks: signed, only to allowed hosts at public addresses, with retries until a receiver accepts them."""
