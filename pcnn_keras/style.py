"""Matplotlib as it comes: what a user has set for other pictures neither stops nor changes ours.

Not pyplot: a notebook's own figures stay as they are.
"""

import functools
import logging
import os
import sys
from contextlib import contextmanager, suppress

from PIL import ImageFont

from pcnn_keras.errors import InputError


@contextmanager
def _importing():
    """Imports of Matplotlib that neither fail over MPLBACKEND nor say what is wrong in a matplotlibrc."""
    logger, first = logging.getLogger("matplotlib"), "matplotlib" not in sys.modules
    level, backend = logger.level, os.environ.pop("MPLBACKEND", None)
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    except (ValueError, OSError) as error:
        raise InputError(f"Matplotlib cannot be imported with the matplotlibrc that it finds: {error}.") from error
    finally:
        logger.setLevel(level)
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
            if first and "matplotlib" in sys.modules:
                with suppress(ValueError):  # for a caller's own figures, unless it is none
                    sys.modules["matplotlib"].rcParams["backend"] = backend


with _importing():
    import matplotlib
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

__all__ = ["colormaps", "default_style", "font", "new_figure"]

DEFAULTS = {name: value for name, value in matplotlib.rcParamsDefault.items() if not name.startswith("backend")}


def default_style():
    """`with default_style():`, or as a decorator: figures are made and saved with Matplotlib's own settings."""
    return matplotlib.rc_context(DEFAULTS)


def new_figure(width, height, **options):
    """A `Figure`, in inches, that is drawn by Agg."""
    figure = Figure(figsize=(width, height), **options)
    FigureCanvasAgg(figure)
    return figure


@functools.cache
def font():
    """Matplotlib's own font, of 12 pixels, for Pillow."""
    return ImageFont.truetype(os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), 12)
