"""Words from a drawing, made fit for people and for UTF-8."""


def readable(text: str) -> str:
    """`text` with a question mark for each byte that its encoding does not know: ezdxf keeps those as lone surrogates,
    which can be neither stored nor sent."""
    return text.encode(errors="replace").decode()
