// A canvas to draw on, by pointer or keys. Strokes are points of shares of the side.
const THICK = 0.075; // of the side, on the screen
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Draw strokes as smooth white lines. */
export function trace(context, strokes, toPixels, width) {
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

/**
 * Let a canvas be drawn on.
 *
 * @param {HTMLCanvasElement} pad a square
 * @param {SVGElement} marks shows where the pen is while keys draw
 * @param {object} does
 * @param {(strokes: number[][][]) => void} does.changed is called with the strokes after each change
 * @param {(words: string) => void} does.says tells a screen reader about the pen
 * @param {(pen: object | null) => void} does.moved is called when the pen of the keys moves
 * @param {() => boolean} does.closed says that there is no drawing now
 */
export function drawOn(pad, marks, { changed, says, moved = () => {}, closed = () => false }) {
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
    marks.querySelector(".pen")?.remove();
    moved(pen);
    if (!pen) return;
    if (!marks.hasAttribute("viewBox")) marks.setAttribute("viewBox", "0 0 280 280");
    const unit = marks.viewBox.baseVal.width;
    const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    dot.setAttribute("class", pen.down ? "pen down" : "pen");
    for (const [name, value] of Object.entries({ cx: pen.x * unit, cy: pen.y * unit, r: 0.03 * unit })) dot.setAttribute(name, value);
    marks.append(dot);
  }
  function hide() {
    pen = null;
    showPen();
  }
  function undo() {
    if (closed()) return;
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
    if (event.button || closed()) return;
    pad.setPointerCapture(event.pointerId);
    hide();
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
    else if (!closed() && (event.key === " " || move)) pen ??= { x: 0.5, y: 0.5, down: false };
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
  pad.addEventListener("blur", hide);
  return { undo, clear, hide };
}
