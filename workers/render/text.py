"""Words from a drawing, made fit for people and for UTF-8."""

# Characters. A drawing may call a layer by megabytes of text, and errors and progress quote it.
MAX_LENGTH = 600

_ELLIPSIS = " … "


def replace_surrogates(text: str) -> str:
    """`text` with a question mark for each byte that its encoding does not know: ezdxf keeps those as lone surrogates,
    which can be neither stored nor sent."""
    return text.encode(errors="replace").decode()


def truncate_middle(text: str) -> str:
    """`text` without its middle where it is longer than `LONGEST`: advice stands at the end."""
    if len(text) <= MAX_LENGTH:
        return text
    head = MAX_LENGTH // 2
    return text[:head] + _ELLIPSIS + text[head + len(_ELLIPSIS) - MAX_LENGTH :]
