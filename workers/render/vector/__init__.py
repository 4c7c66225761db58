"""Vector drawings: recorded once as a display list, then painted by cairo, whole or by layer."""
