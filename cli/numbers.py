"""Numbers as people read them."""


def mebibytes(count: int) -> str:
    """Bytes as MiB, without decimals."""
    return f"{count / 1024**2:,.0f} MiB"
