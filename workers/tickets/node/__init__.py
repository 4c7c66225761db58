"""The program of an edge node. It needs nothing but Python 3.11."""
