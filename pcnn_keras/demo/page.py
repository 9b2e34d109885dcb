"""Inpainting by hand in a browser.

`parts` does the work, `handlers` says when; here is the page and its server. The picture to paint on is `demo.html` and
`demo.js`, the looks are `demo.css`.
"""

from pathlib import Path

import gradio as gr
import tensorflow as tf

from pcnn_keras.data.prepare import WAYS
from pcnn_keras.demo import handlers
from pcnn_keras.demo.handlers import ModelHandlers, Turns, first_canvas
from pcnn_keras.demo.parts import CANDIDATES, MOST, example_buttons, open_model, presets
from pcnn_keras.errors import InputError

LARGEST_UPLOAD = 8 * 2**20
"""Bytes."""

CHOOSE = ("element.addEventListener('click', event => { const button = event.target.closest('button');"
          " if (button) trigger('select', {index: Number(button.dataset.index)}); });")
"""Makes a click on one of several buttons a choice."""


def _read(suffix):
    return Path(__file__).with_name(f"demo{suffix}").read_text(encoding="utf-8")


def build(folders):
    """The page, a `gradio.Blocks`, for folders of models; the first one is open at the beginning."""
    models = ModelHandlers({str(folder): folder for folder in folders})
    opened = open_model(folders[0])
    with gr.Blocks(title="Pixel Constrained CNN", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.Markdown("# Pixel Constrained CNN\nRub out a part of a picture, and see what could have been there: "
                    "many completions, and how likely each of them is. What is blue is hidden from the model.")
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                model = gr.Dropdown([(folder.name, str(folder)) for folder in folders], value=str(folders[0]),
                                    label="Model", elem_id="model")
                examples = gr.HTML(example_buttons(opened), js_on_load=CHOOSE, elem_id="examples")
                picture = gr.HTML(first_canvas(opened), elem_id="canvas", html_template=_read(".html"),
                                  js_on_load=_read(".js"))
                with gr.Row(elem_classes="narrow"):
                    go = gr.Button("Complete", variant="primary", min_width=180, scale=3, elem_id="go")
                    others = gr.Button("Redraw", min_width=100, scale=1, elem_id="others")
                with gr.Row(elem_classes="narrow", equal_height=True):
                    upload_button = gr.UploadButton("Upload", file_types=["image"], size="sm", min_width=80)
                    way = gr.Dropdown([(f"prepare: {way}", way) for way in WAYS], value=WAYS[0], container=False,
                                      label="How an upload is prepared", min_width=130, elem_id="way")
                with gr.Row(elem_classes="narrow"):
                    blank_button = gr.Button("Empty picture", size="sm", min_width=80)
                    blobs_button = gr.Button("Random blobs", size="sm", min_width=80, elem_id="blobs")
                preset = gr.Dropdown(presets(opened.model.config), value=None, allow_custom_value=True,
                                     label="Mask: what stays visible", elem_id="preset")
                with gr.Accordion("How many, and which", open=False):
                    count = gr.Slider(1, MOST, 32, step=1, label="Completions", elem_id="count")
                    importance = gr.Checkbox(False, label="Choose by importance", elem_id="importance", info=(
                        f"Draws {CANDIDATES} times as many and keeps those that are likelier as whole pictures than as "
                        "completions. At temperature 1."))
                    with gr.Row(elem_classes="narrow"):
                        temperature = gr.Slider(0, 2, 1, step=0.05, label="Temperature", min_width=170)
                        seed = gr.Number(0, precision=0, minimum=0, maximum=handlers.LARGEST_SEED, label="Seed",
                                         min_width=90)
            with gr.Column(scale=3, min_width=320):
                tiles = gr.HTML(js_on_load=CHOOSE, elem_id="tiles")
                with gr.Row(elem_classes="narrow"):
                    kept = gr.Slider(1, MOST, MOST, step=1, label="Show only the likeliest", elem_id="kept")
                    all_button = gr.Button("Show all", size="sm", min_width=80, scale=0, elem_id="all")
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
        result, chosen, masked = gr.State(), gr.State(0), gr.State()  # masked: the mask of the list that was taken last
        turns = [gr.State(Turns()), gr.State(Turns())]

        # Nothing cancels anything: Gradio would skip or kill what comes next. What is of an earlier turn ends itself.
        shown = [tiles, details, line, chosen]
        latest = {"trigger_mode": "always_last"}  # what is pressed while it runs comes after it
        drawing = {"fn": models.draw_completions,
                   "inputs": [model, picture, count, temperature, seed, importance, *turns],
                   "outputs": [result, kept, *shown, moving, files], "show_progress": "minimal",
                   "concurrency_limit": handlers.MOST_WAITING, **latest}
        page.load(**drawing)
        go.click(handlers.stop, turns, show_progress="hidden", api_visibility="private").success(
            **drawing, api_name="complete")
        painted, forgotten = [picture, preset, masked], [result, *shown, moving, files]
        model.change(models.choose_model, [model, *turns], [examples, *painted, *forgotten]).success(**drawing)
        others.click(handlers.next_seed, [seed, *turns], seed).success(**drawing)
        examples.select(models.choose_example, [model, preset, *turns], [picture, *forgotten],
                        trigger_mode="multiple").success(**drawing)
        forgetting = {"fn": handlers.forget, "inputs": turns, "outputs": forgotten, "show_progress": "hidden"}
        upload_button.upload(models.upload, [model, upload_button, way], painted).success(**forgetting)
        blank_button.click(models.blank, model, painted).success(**forgetting)
        blobs_button.click(models.set_blobs, [model, picture], painted).success(**forgetting)
        preset.input(models.set_mask, [model, picture, preset, masked, *turns], [picture, masked, *forgotten])
        picture.input(handlers.repaint, turns, [preset, masked, *forgotten], show_progress="hidden", **latest)
        kept.input(handlers.hide, [result, kept, chosen, turns[0]], [*shown, files], show_progress="hidden", **latest)
        all_button.click(handlers.show_all, [result, chosen, turns[0]], [kept, *shown, files], show_progress="hidden")
        tiles.select(handlers.choose_completion, [result, kept, *turns], shown, show_progress="hidden",
                     trigger_mode="multiple")
        play_button.click(handlers.play, [result, chosen, turns[1]], moving, show_progress="minimal", **latest)
        download_button.click(handlers.download, [result, kept], files)
    check_requests(page)
    return page


def check_requests(page):
    """Has the page say, not the log, what its parts do not take: a request may hold anything.

    Its own method is replaced, not those of its parts, of which each session has copies.
    """
    preprocess_data = page.preprocess_data

    async def checked(function, values, *rest, **named):
        for part, value in zip(function.inputs, values):
            if isinstance(part, (gr.Slider, gr.Number)):
                check_number(part, value)
        try:
            return await preprocess_data(function, values, *rest, **named)
        except (gr.Error, ValueError, TypeError) as error:
            said = error.message if isinstance(error, gr.Error) else "The page does not take what was sent."
            raise gr.Error(said, print_exception=False) from error

    page.preprocess_data = checked


def check_number(part, value):
    """A `gr.Error` unless a slider or number field takes a value."""
    whole = part.step == 1
    fine = isinstance(value, (int, float)) and not isinstance(value, bool) and part.minimum <= value <= part.maximum
    if not fine or whole and value % 1:
        raise gr.Error(f"{part.label}: expected a {'whole ' * whole}number from {part.minimum} to {part.maximum}.",
                       print_exception=False)


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
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host  # IPv6, as Gradio has it
    page = build(folders).queue(max_size=64)
    try:
        _, local, public = page.launch(
            server_name=host, server_port=port, share=share, max_file_size=LARGEST_UPLOAD,
            allowed_paths=[], state_session_capacity=100, prevent_thread_lock=True, quiet=True, ssr_mode=False,
            footer_links=[], run_history=False, css_paths=Path(__file__).with_name("demo.css"),
            theme=gr.themes.Default(primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["monospace"]))
    except (OSError, ValueError) as error:  # of the variables that Gradio reads, too
        raise InputError(f"{host}, port {port or 'from 7860'} cannot be used: {error}") from error
    print(f"Open {public or local} in a browser. Ctrl-C ends it.", flush=True)
    page.block_thread()
