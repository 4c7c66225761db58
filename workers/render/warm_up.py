"""What the zygote loads once for all renders: code, font lists and lookup tables, but not a single pixel."""

from contextlib import suppress
from importlib import import_module

from workers.render import native
from workers.render.errors import EngineError

_MODULES = (
    "workers.render.engine",
    "workers.render.body",
    *(f"workers.render.sources.{family}" for family in ("dxf", "pdf", "raster", "svg")),
)


def warm_up() -> None:
    """Load the engine. A library that is missing is reported by the render that needs it."""
    native.set_environment()
    with suppress(EngineError):
        native.prepare()
    with suppress(ImportError, OSError):
        for module in _MODULES:
            import_module(module)
        native.prepare_vips()
