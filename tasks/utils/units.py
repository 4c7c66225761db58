"""Numbers as people read them. Sizes are binary: 1 MiB is 1,048,576 bytes."""

KIB = 1024
MIB = 1024**2
GIB = 1024**3


def format_bytes(count: float) -> str:
    """Bytes in the unit that keeps them short: `512 B`, `1.5 KiB`, `505 MiB`, `1,024 MiB`, `2.0 GiB`.

    Whole mebibytes are used up to 10 GiB, so that a peak and a limit can be compared at a glance.
    """
    size = abs(count)
    if size < KIB:
        return f"{count:,.0f} B"
    if size < MIB:
        return f"{count / KIB:,.1f} KiB"
    if size < 10 * MIB:
        return f"{count / MIB:,.1f} MiB"
    if size < 10 * GIB:
        return f"{count / MIB:,.0f} MiB"
    return f"{count / GIB:,.1f} GiB"
