"""Accepting a render: from the request to a confirmed message."""
