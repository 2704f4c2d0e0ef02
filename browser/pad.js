// A canvas to draw on, by pointer or keys. Strokes are points of shares of the side.
const THICK = 0.075; // of the side, on the screen
const PIXELS = 40; // side of the picture that is read: below 48 no ink is sought
const FILLED = 5 / 7; // share of the picture's side that the drawing's longer side takes
const PEN = 0.1; // width of a stroke as a share of the drawing's longer side, as in MNIST's digits
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function trace(context, strokes, toPixels, width) {
  context.lineWidth = width;
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = "#fff";
  for (const stroke of strokes) {
    const points = stroke.map(toPixels);
    context.beginPath();
    context.moveTo(...points[0]);
    if (points.length === 1) context.lineTo(points[0][0] + 0.1, points[0][1]);
    for (let n = 1; n < points.length; n += 1) {
      const [x, y] = points[n];
      const [after, below] = points[n + 1] ?? points[n];
      context.quadraticCurveTo(x, y, (x + after) / 2, (y + below) / 2);
    }
    context.stroke();
  }
}

/** Draw strokes as MNIST's digits are: bright on black, of one size and with strokes of one width. */
export function grayOf(strokes) {
  const block = 8;
  const side = PIXELS * block;
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  const [xs, ys] = [0, 1].map((axis) => strokes.flat().map((point) => point[axis]));
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = (FILLED * side * (1 - PEN)) / Math.max(right - left, bottom - top, 0.2);
  const toPixels = ([x, y]) => [side / 2 + (x - (left + right) / 2) * scale, side / 2 + (y - (top + bottom) / 2) * scale];
  trace(context, strokes, toPixels, PEN * FILLED * side);
  const { data } = context.getImageData(0, 0, side, side);
  const pixels = new Uint8Array(PIXELS * PIXELS);
  for (let at = 0; at < pixels.length; at += 1) {
    const corner = Math.floor(at / PIXELS) * block * side + (at % PIXELS) * block;
    let sum = 0;
    for (let y = 0; y < block; y += 1) for (let x = 0; x < block; x += 1) sum += data[4 * (corner + y * side + x)];
    pixels[at] = Math.round(sum / block ** 2);
  }
  return { height: PIXELS, width: PIXELS, pixels };
}

/**
 * Let a canvas be drawn on.
 *
 * @param {HTMLCanvasElement} pad a square
 * @param {SVGElement} marks shows where the pen is while keys draw
 * @param {(strokes: number[][][]) => void} changed is called with the strokes after each change
 * @param {(words: string) => void} says tells a screen reader about the pen
 */
export function drawOn(pad, marks, changed, says) {
  let strokes = [];
  let stroke = null;
  let pen = null; // {x, y, down} while keys draw
  const side = pad.width;

  function drawn() {
    const context = pad.getContext("2d");
    context.clearRect(0, 0, side, side);
    trace(context, strokes, ([x, y]) => [x * side, y * side], THICK * side);
    changed(strokes);
  }
  function showPen() {
    marks.setAttribute("viewBox", "0 0 100 100");
    marks.innerHTML = pen ? `<circle class="pen${pen.down ? " down" : ""}" cx="${100 * pen.x}" cy="${100 * pen.y}" r="3"/>` : "";
  }
  function hidePen() {
    pen = null;
    showPen();
  }
  function undo() {
    strokes.pop();
    if (pen) pen.down = false;
    drawn();
  }
  function clear() {
    strokes = [];
    if (pen) pen.down = false;
    drawn();
  }
  const place = (event) => {
    const box = pad.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  pad.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    pad.setPointerCapture(event.pointerId);
    hidePen();
    strokes.push((stroke = [place(event)]));
    drawn();
  });
  pad.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) stroke.push(place(one));
    drawn();
  });
  for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => (stroke = null));
  pad.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const move = MOVES[event.key];
    if (event.key === "Escape") clear();
    else if (event.key === "Backspace") undo();
    else if (event.key === " " || move) pen ??= { x: 0.5, y: 0.5, down: false };
    else return;
    if (event.key === " ") {
      pen.down = !pen.down;
      if (pen.down) strokes.push([[pen.x, pen.y]]);
      says(pen.down ? "Pen down" : "Pen up");
      if (pen.down) drawn();
    } else if (move) {
      const step = event.shiftKey ? 0.12 : 0.04;
      pen.x = Math.min(0.96, Math.max(0.04, pen.x + step * move[0]));
      pen.y = Math.min(0.96, Math.max(0.04, pen.y + step * move[1]));
      if (pen.down) {
        strokes.at(-1).push([pen.x, pen.y]);
        drawn();
      }
    }
    event.preventDefault();
    showPen();
  });
  pad.addEventListener("blur", hidePen);
  return { undo, clear };
}
