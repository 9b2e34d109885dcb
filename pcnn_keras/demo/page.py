"""Inpainting by hand in a browser.

`parts` does the work; here is the page and its server. The picture to paint on is `demo.html` and
`demo.js`, the looks are `demo.css`.
"""

import contextlib
import os
import tempfile
from pathlib import Path

import gradio as gr
import numpy as np
import tensorflow as tf

from pcnn_keras.demo.parts import (
    MOST,
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
)
from pcnn_keras.errors import InputError

LARGEST_UPLOAD = 8 * 2**20
"""Bytes."""


def build(folders):
    """The page, a `gradio.Blocks`, for folders of models; the first one is open at the beginning."""
    @contextlib.contextmanager
    def in_words():
        try:
            yield
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from error

    models = {str(folder): folder for folder in folders}

    def start(opened, index=0):
        """The canvas with an example, its bottom quarter visible."""
        config = opened.model.config
        return canvas(opened.examples[index], make_mask(presets(config)[0], config, 0), config.num_levels)

    @in_words()
    def choose_model(name):
        opened = open_model(models[name])
        return example_buttons(opened), start(opened), gr.Dropdown(choices=presets(opened.model.config), value=None)

    @in_words()
    def choose_example(name, event: gr.EventData):
        opened = open_model(models[name])
        return start(opened, int(event.index) % len(opened.examples))

    @in_words()
    def upload(name, path):
        config = open_model(models[name]).model.config
        return canvas(read_upload(path, config), make_mask("all", config, 0), config.num_levels)

    @in_words()
    def blank(name):
        config = open_model(models[name]).model.config
        image = np.zeros((config.height, config.width, config.channels), int)
        return canvas(image, make_mask("all", config, 0), config.num_levels)

    @in_words()
    def set_mask(name, value, spec):
        config = open_model(models[name]).model.config
        image, _ = painted(value, config)
        return canvas(image, make_mask(spec or "all", config, int(np.random.default_rng().integers(2**53))),
                      config.num_levels)

    def show(result, kept, chosen):
        return (completion_buttons(result, kept, chosen), mean_and_probability(result, kept, chosen),
                command(result, kept), chosen)

    def draw_completions(name, value, count, temperature, seed):
        with in_words():
            opened = open_model(models[name])
            image, mask = painted(value, opened.model.config)
            for result in complete(opened, image, mask, count, temperature, seed):
                drawn = len(result.completions.draw)
                yield (result, gr.Slider(maximum=max(drawn, 2), value=drawn), *show(result, drawn, 0), "",
                       gr.File(visible=False))

    def hide(result, kept, chosen):
        return show(result, kept, min(chosen, kept - 1)) if result else (gr.skip(),) * 4

    def choose_completion(result, kept, event: gr.EventData):
        return show(result, kept, int(event.index) % kept)

    def play(result, chosen):
        with in_words():
            yield from progression(result, chosen) if result else ()

    def download(result, kept):
        folder = Path(tempfile.mkdtemp(dir=os.environ["GRADIO_TEMP_DIR"]))
        return gr.File([str(path) for path in save(result, kept, folder)], visible=True) if result else gr.skip()

    def read(suffix):
        return Path(__file__).with_name(f"demo{suffix}").read_text(encoding="utf-8")

    choose = "element.addEventListener('click', event => { const button = event.target.closest('button');" \
             " if (button) trigger('select', {index: Number(button.dataset.index)}); });"
    opened = open_model(folders[0])
    with gr.Blocks(title="Pixel Constrained CNN", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.Markdown("# Pixel Constrained CNN\nRub out a part of a picture, and see what could have been there: "
                    "many completions, and how likely each of them is.")
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                model = gr.Dropdown([(path.name, name) for name, path in models.items()], value=str(folders[0]),
                                    label="Model", elem_id="model")
                examples = gr.HTML(example_buttons(opened), js_on_load=choose, elem_id="examples")
                picture = gr.HTML(start(opened), elem_id="canvas", html_template=read(".html"), js_on_load=read(".js"))
                with gr.Row(elem_classes="narrow"):
                    upload_button = gr.UploadButton("Upload", file_types=["image"], size="sm", min_width=80)
                    blank_button = gr.Button("Empty picture", size="sm", min_width=80)
                    blobs_button = gr.Button("Random blobs", size="sm", min_width=80, elem_id="blobs")
                preset = gr.Dropdown(presets(opened.model.config), value=None, allow_custom_value=True,
                                     label="Mask: what stays visible", elem_id="preset")
                count = gr.Slider(1, MOST, 32, step=1, label="Completions", elem_id="count")
                with gr.Row(elem_classes="narrow"):
                    temperature = gr.Slider(0, 2, 1, step=0.05, label="Temperature", min_width=170)
                    seed = gr.Number(0, precision=0, minimum=0, maximum=2**53 - 1, label="Seed", min_width=90)
                go = gr.Button("Complete", variant="primary", elem_id="go")
            with gr.Column(scale=3, min_width=320):
                tiles = gr.HTML(js_on_load=choose, elem_id="tiles")
                kept = gr.Slider(1, MOST, MOST, step=1, label="Show only the likeliest", elem_id="kept")
                with gr.Row():
                    with gr.Column(scale=2, min_width=300):
                        details = gr.HTML(elem_id="details")
                    with gr.Column(scale=1, min_width=150):
                        moving = gr.HTML(elem_id="progression")
                        play_button = gr.Button("Play the progression", size="sm", elem_id="play")
                line = gr.Code(label="The same on the command line, beside image.png and mask.png", language="shell",
                               lines=1, interactive=False, wrap_lines=True, elem_id="command")
                download_button = gr.Button("Make files to download", size="sm", elem_id="download")
                files = gr.File(label="Files", visible=False, elem_id="files")
        result, chosen = gr.State(), gr.State(0)

        shown = [tiles, details, line, chosen]
        drawing = {"fn": draw_completions, "inputs": [model, picture, count, temperature, seed],
                   "outputs": [result, kept, *shown, moving, files], "show_progress": "minimal"}
        playing = play_button.click(play, [result, chosen], moving, show_progress="hidden")
        model.change(choose_model, model, [examples, picture, preset], cancels=playing).success(**drawing)
        examples.select(choose_example, model, picture, cancels=playing).success(**drawing)
        upload_button.upload(upload, [model, upload_button], picture)
        blank_button.click(blank, model, picture)
        preset.input(set_mask, [model, picture, preset], picture)
        blobs_button.click(lambda name, value: set_mask(name, value, open_model(models[name]).model.config.blobs),
                           [model, picture], picture)
        go.click(**drawing, cancels=playing, api_name="complete")
        kept.input(hide, [result, kept, chosen], shown, show_progress="hidden", trigger_mode="always_last")
        tiles.select(choose_completion, [result, kept], shown, show_progress="hidden")
        download_button.click(download, [result, kept], files)
        page.load(**drawing)
    return page


def serve(folders, host, port=None, share=False):
    """Opens the page and waits for Ctrl-C.

    Args:
        folders: of models.
        host: address to listen at.
        port: to listen at, or None for the first free from 7860.
        share: True for a public address, through Gradio's own servers.

    Raises:
        InputError: if it cannot listen there.
    """
    tf.config.threading.set_intra_op_parallelism_threads(1)  # a row's operations are too small to share out
    page = build(folders).queue(max_size=64)
    try:
        _, local, public = page.launch(
            server_name=host, server_port=port, share=share, max_file_size=LARGEST_UPLOAD,
            allowed_paths=[], state_session_capacity=100, prevent_thread_lock=True, quiet=True, ssr_mode=False,
            footer_links=[], run_history=False, css_paths=Path(__file__).with_name("demo.css"),
            theme=gr.themes.Default(primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["monospace"]))
    except OSError as error:
        raise InputError(f"{host}, port {port or 'from 7860'} cannot be used: {error}") from error
    print(f"Open {public or local} in a browser. Ctrl-C ends it.", flush=True)
    page.block_thread()
