"""Vector drawings: recorded once into a display list, then painted by cairo, whole or layer by layer."""
