"""What happens when something on the page is used. Arguments and results are values of the page's parts."""

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from threading import Lock

import gradio as gr
import numpy as np

from pcnn_keras.demo.parts import (
    canvas,
    command,
    complete,
    completion_buttons,
    example_buttons,
    make_mask,
    mean_and_probability,
    open_model,
    painted,
    presets,
    progression,
    read_upload,
    save,
    warning,
)
from pcnn_keras.errors import InputError, shown

LARGEST_SEED = 2**53 - 1
"""The largest integer that a browser's numbers hold exactly."""

CHANGED, DRAWING = "The picture has changed: rub out a part of it, or take a mask, and press Complete.", "Drawing …"
"""What is said where no completions are."""

MOST_WAITING = 20
"""Drawings that may wait for their turn: each takes one of Gradio's forty threads."""

DOWNLOADS, KEPT = "completions-", 3600
"""How folders of downloads begin, and how many seconds they are kept."""


@contextlib.contextmanager
def in_words():
    """What the user got wrong is said on the page."""
    try:
        yield
    except InputError as error:
        raise gr.Error(str(error), print_exception=False) from error


def first_canvas(opened, index=0, spec=None):
    """The canvas with an example under a mask; without one, its bottom quarter is visible."""
    config = opened.model.config
    return canvas(opened.examples[index], make_mask(spec or presets(config)[0], config, any_seed()), config.num_levels)


def any_seed():
    """A random seed for a mask."""
    return int(np.random.default_rng().integers(LARGEST_SEED))


class Turns:
    """Of what a session draws or plays, only what was begun last is shown, however long the others go on."""

    def __init__(self):
        self._last = 0

    def begin(self):
        """A new turn: a function that says whether it is still the last one."""
        self._last += 1
        return self.current()

    def current(self):
        """The same of the turn that is the last one now."""
        mine = self._last
        return lambda: mine == self._last


class Abandoned(Exception):
    """A drawing is not the last one of its session any more."""


def stop(drawings, playings):
    """What is being drawn or played is not shown any more."""
    drawings.begin()
    playings.begin()


def next_seed(seed, drawings, playings):
    stop(drawings, playings)
    return (seed + 1) % (LARGEST_SEED + 1)


def show(result, kept, chosen):
    """Tiles, details, command line and number of the chosen completion."""
    kept = min(kept, len(result.completions.draw))
    chosen = min(chosen, kept - 1)
    return (completion_buttons(result, kept, chosen), mean_and_probability(result, kept, chosen),
            command(result, kept), chosen)


def hide(result, kept, chosen, drawings):
    """Only the likeliest; files to download, which hold more or fewer, go."""
    is_last = drawings.current()
    answer = (*show(result, kept, chosen), gr.File(visible=False)) if result else gr.skip()
    return answer if is_last() else gr.skip()  # the picture has changed, or more was drawn, meanwhile


def show_all(result, chosen, drawings):
    if not result:
        return gr.skip()
    drawn = len(result.completions.draw)
    answer = hide(result, drawn, chosen, drawings)
    return (gr.Slider(value=drawn), *answer) if isinstance(answer, tuple) else answer


def forget(drawings, playings, said=CHANGED):
    """Completions of a picture that has changed go: no result, nothing shown but what is said in their place."""
    stop(drawings, playings)
    return None, f'<p role="status">{said}</p>', "", "", 0, "", gr.File(visible=False)


def repaint(drawings, playings):
    """The same of a picture that was painted on: what is hidden is no mask of the list any more."""
    return None, None, *forget(drawings, playings)


def pressed(event, count):
    """Which of `count` buttons; an `InputError` if the request names none."""
    try:
        return int(event.index) % count
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise InputError("Expected the number of a button.") from error


@in_words()
def choose_completion(result, kept, drawings, playings, event: gr.EventData):
    playings.begin()
    is_last = drawings.current()
    answer = show(result, kept, pressed(event, kept)) if result else gr.skip()
    return answer if is_last() else gr.skip()


def expect_drawn(result):
    """An `InputError` if nothing is drawn."""
    if not result:
        raise InputError("Nothing is drawn: press Complete first.")


def play(result, chosen, playings):
    is_last = playings.begin()
    with in_words():
        expect_drawn(result)
        for stage in progression(result, chosen):
            if not is_last():
                return
            yield stage


@in_words()
def download(result, kept):
    expect_drawn(result)
    home = Path(os.environ["GRADIO_TEMP_DIR"])
    for old in home.glob(f"{DOWNLOADS}*"):
        if time.time() - old.stat().st_mtime > KEPT:
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=DOWNLOADS, dir=home))
    return gr.File([str(path) for path in save(result, kept, folder)], visible=True)


class ModelHandlers:
    """Those that need a model, which is named as the page names it.

    Args:
        folders: of the models, by that name; no other is opened.
    """

    def __init__(self, folders):
        self._folders, self._locks = folders, {name: Lock() for name in folders}
        self._drawing = Lock()  # one at a time, whoever asks: each has all cores

    def _open(self, name):
        if not (isinstance(name, str) and name in self._folders):
            raise InputError(f"The page has no model {shown(name)}.")
        with self._locks[name]:  # two at a time would load it twice
            return open_model(self._folders[name])

    def _config(self, name):
        return self._open(name).model.config

    @in_words()
    def choose_model(self, name, drawings, playings):
        opened = self._open(name)
        return (example_buttons(opened), first_canvas(opened),
                gr.Dropdown(choices=presets(opened.model.config), value=None), None,
                *forget(drawings, playings, DRAWING))

    @in_words()
    def choose_example(self, name, spec, drawings, playings, event: gr.EventData):
        opened = self._open(name)
        return (first_canvas(opened, pressed(event, len(opened.examples)), spec),
                *forget(drawings, playings, DRAWING))

    @in_words()
    def upload(self, name, path, way):
        config = self._config(name)
        image, done = read_upload(path, config, way)
        if done:
            gr.Info(f"{done[0].upper()}{done[1:]}.")
        return canvas(image, make_mask("all", config, 0), config.num_levels), None, None

    @in_words()
    def blank(self, name):
        config = self._config(name)
        image = np.zeros((config.height, config.width, config.channels), int)
        return canvas(image, make_mask("all", config, 0), config.num_levels), None, None

    def _masked(self, name, value, spec):
        config = self._config(name)
        image, _ = painted(value, config)
        return canvas(image, make_mask(spec, config, any_seed()), config.num_levels)

    @in_words()
    def set_mask(self, name, value, spec, masked, drawings, playings):
        """The picture under a mask of the list; nothing, if that is there: Gradio calls this when the list is left."""
        if not spec or spec == masked:
            return gr.skip()
        return self._masked(name, value, spec), spec, *forget(drawings, playings)

    @in_words()
    def set_blobs(self, name, value):
        return self._masked(name, value, self._config(name).blobs), None, None

    def draw_completions(self, name, value, count, temperature, seed, importance, drawings, playings):
        playings.begin()
        is_last = drawings.begin()

        def go_on(_=None):
            if not is_last():
                raise Abandoned

        with in_words(), contextlib.suppress(Abandoned):
            opened = self._open(name)
            image, mask = painted(value, opened.model.config)
            steps = complete(opened, image, mask, count, temperature, seed, importance, go_on)
            while True:
                with self._drawing:
                    go_on()
                    if not (step := next(steps, None)):
                        break
                go_on()
                result, is_last = step, drawings.begin()  # what is shown of an earlier result comes too late
                drawn = len(result.completions.draw)
                slider = gr.Slider(maximum=max(drawn, 2), value=drawn, interactive=drawn > 1)
                yield result, slider, *show(result, drawn, 0), "", gr.File(visible=False)
            if said := warning(result):
                gr.Warning(said)
