"""Composes a raster onto its background with Wand: 8 bytes a pixel, in place."""

from wand.color import Color
from wand.image import Image

from workers.render.raster import Raster

# Backgrounds of the preview. Dark is the usual colour of model space in CAD; None is transparent.
BACKGROUNDS: dict[str, str | None] = {"light": "#ffffff", "dark": "#212830", "transparent": None}


def compose(raster: Raster, background: str | None) -> Image:
    """Convert `raster` to an ImageMagick picture, blended onto `background` (#rrggbb) unless that is None.

    The caller closes the picture (`with`) and may release the raster before encoding.
    """
    picture = Image.from_array(raster.pixels, channel_map=raster.channels, storage="char")
    if background is None or raster.is_opaque:
        return picture
    try:
        with Color(background) as colour:
            picture.background_color = colour
        picture.alpha_channel = "remove"
    except BaseException:
        picture.close()
        raise
    return picture
