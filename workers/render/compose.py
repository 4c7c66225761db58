"""Compose a piece onto its background with Wand: 8 bytes a pixel, in place."""

from wand.color import Color
from wand.image import Image

from workers.render.raster import Raster

# Behind the preview. Dark is the shade of CAD model space; None leaves transparency.
BACKGROUNDS: dict[str, str | None] = {"light": "#ffffff", "dark": "#212830", "transparent": None}


def compose(raster: Raster, background: str | None) -> Image:
    """`piece` as an ImageMagick picture, blended onto `background` (#rrggbb) unless that is None.

    The caller closes the picture (`with`), and may drop the piece before it encodes.
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
