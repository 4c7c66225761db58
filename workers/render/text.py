"""Sanitizes text of a drawing for messages and for UTF-8."""

# Characters. A layer's name may have megabytes, and errors and progress quote it.
MAX_LENGTH = 600

_ELLIPSIS = " … "


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates by question marks. ezdxf uses them for bytes that it cannot decode; UTF-8 has none."""
    return text.encode(errors="replace").decode()


def truncate_middle(text: str) -> str:
    """Shorten `text` to `MAX_LENGTH` by cutting out its middle: the advice of an error is at the end."""
    if len(text) <= MAX_LENGTH:
        return text
    head = MAX_LENGTH // 2
    return text[:head] + _ELLIPSIS + text[head + len(_ELLIPSIS) - MAX_LENGTH :]
