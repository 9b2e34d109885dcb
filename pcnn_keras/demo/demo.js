// The picture to paint on, pixel by pixel: a canvas of the model's own size, shown large.
// props.value, to and from Python: {height, width, channels, highest, levels: [...], mask: [...]}, mask 1 = visible.
const HIDDEN = [70, 105, 160];  // as in plots.py
const canvas = element.querySelector('canvas'), context = canvas.getContext('2d');
const brush = element.querySelector('input');
const undo = element.querySelector('[data-undo]');
let value, tool = 'hide', pointer, last = null, before = [];

function show() {
  const picture = context.createImageData(value.width, value.height);
  for (let i = 0; i < value.mask.length; i++) {
    for (let c = 0; c < 3; c++) {
      const level = value.levels[i * value.channels + Math.min(c, value.channels - 1)];
      picture.data[4 * i + c] = value.mask[i] ? Math.round(level * 255 / value.highest) : HIDDEN[c];
    }
    picture.data[4 * i + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
}

function copy(picture) {
  return JSON.parse(JSON.stringify(picture));
}

function remember(pictures) {
  before = pictures.slice(-20);
  undo.disabled = !before.length;
}

function hand_back() {
  props.value = copy(value);
  trigger('input');
}

function receive() {
  if (JSON.stringify(value) == JSON.stringify(props.value)) return;  // it comes from here
  value = copy(props.value);
  remember([]);
  if (canvas.width != value.width || canvas.height != value.height) {
    canvas.width = value.width;
    canvas.height = value.height;
    brush.max = Math.ceil(value.width / 3);
    brush.value = Math.ceil(value.width / 7);
  }
  show();
}

function dab(x, y) {
  const radius = brush.value / 2;
  for (let row = 0; row < value.height; row++) {
    for (let column = 0; column < value.width; column++) {
      const under = row == Math.floor(y) && column == Math.floor(x);
      if (!under && Math.hypot(column + 0.5 - x, row + 0.5 - y) > radius) continue;
      const i = row * value.width + column;
      value.mask[i] = tool == 'hide' ? 0 : 1;
      if (tool == 'white' || tool == 'black') {
        value.levels.fill(tool == 'white' ? value.highest : 0, i * value.channels, (i + 1) * value.channels);
      }
    }
  }
}

function paint(event) {
  const box = canvas.getBoundingClientRect();
  const x = (event.clientX - box.left) * value.width / box.width;
  const y = (event.clientY - box.top) * value.height / box.height;
  last = last || [x, y];
  const steps = Math.max(1, Math.ceil(2 * Math.hypot(x - last[0], y - last[1])));
  for (let i = 1; i <= steps; i++) dab(last[0] + (x - last[0]) * i / steps, last[1] + (y - last[1]) * i / steps);
  last = [x, y];
  show();
}

function stop(event) {
  if (!last || event.pointerId != pointer) return;
  last = null;
  hand_back();
}

canvas.addEventListener('pointerdown', event => {
  if (event.button || last) return;  // of several fingers, the first one paints
  pointer = event.pointerId;
  canvas.setPointerCapture(pointer);
  remember([...before, copy(value)]);
  paint(event);
});
canvas.addEventListener('pointermove', event => {
  if (!event.buttons) stop(event);  // it was let go where nobody saw it
  else if (last && event.pointerId == pointer) paint(event);
});
canvas.addEventListener('pointerup', stop);
canvas.addEventListener('pointercancel', stop);
element.querySelector('.tools').addEventListener('click', event => {
  const button = event.target.closest('button');
  if (!button) return;
  if (button == undo) {
    value = before.at(-1);
    remember(before.slice(0, -1));
    show();
    hand_back();
    return;
  }
  tool = button.dataset.tool;
  for (const each of element.querySelectorAll('[data-tool]')) each.setAttribute('aria-pressed', each == button);
});
watch('value', receive);
receive();
