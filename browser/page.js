// The page without a server: everything happens here, and nothing is sent.
import { encode } from "./codec.js";
import { drawOn, trace } from "./pad.js";

const $ = (id) => document.getElementById(id);
const make = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};
const percent = (share) => `${share > 0.9995 ? 100 : (100 * share).toFixed(1)} %`;

const PIXELS = 40; // side of the picture that is read: below 48 no ink is sought
const FILLED = 5 / 7; // share of the picture's side that the drawing's longer side takes
const PEN = 0.1; // width of a stroke as a share of the drawing's longer side, as in MNIST's digits

/** The newest drawing and what became of it: gray pixels, text, label and probabilities. */
export const state = { gray: null, text: "", label: null, probabilities: [] };

/** Draw strokes as MNIST's digits are: bright on black, of one size and with strokes of one width. */
function grayOf(strokes) {
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

const about = fetch("model.json").then((reply) => reply.json());

/** Fetch the runtime and the weights; gives a function from a text to the probabilities of labels. */
async function load() {
  const [ort, { Tokenizer }, { tokenizer, tokenizer_config, prompts, tasks }] = await Promise.all([
    import("./ort.wasm.min.mjs"),
    import("./tokenizers.min.mjs"),
    about,
  ]);
  ort.env.wasm.numThreads = 1; // more need headers that a static host does not send
  const session = await ort.InferenceSession.create("model.onnx");
  const tokens = new Tokenizer(tokenizer, tokenizer_config);
  const [{ question, answer }] = prompts;
  const { labels } = tasks[0];
  const places = labels.map((label) => tokens.encode(answer.replace("{Response}", label)).ids[0]); // all differ
  const read = (text) => tokens.encode(question.replace("{ASCII_image}", text)).ids;
  return {
    count: (text) => tokens.encode(text).ids.length,
    async see(text) {
      const ids = BigInt64Array.from(read(text), BigInt);
      const { logits } = await session.run({ input_ids: new ort.Tensor("int64", ids, [1, ids.length]) });
      const last = logits.data.subarray(-logits.dims[2]); // after the whole text
      const chosen = places.map((place) => last[place]);
      const most = Math.max(...chosen);
      const weights = chosen.map((score) => Math.exp(score - most));
      const total = weights.reduce((sum, one) => sum + one, 0);
      return labels.map((label, n) => ({ label, probability: weights[n] / total }));
    },
  };
}

function fault(error) {
  $("fault").hidden = false;
  $("fault").textContent = `The model could not be loaded (${error.message}). The text above is right all the same.`;
}

let model = null;
const loading = load().then(
  (loaded) => {
    model = loaded;
    $("answer-note").textContent = "";
    answer();
  },
  (error) => fault(error),
);

/** Show a text, its tags small, as serve's page does. */
function show(text, columns) {
  const lines = text.split("\n").slice(0, -1);
  const pre = $("text");
  const wide = `<row:${lines.length}>`.length;
  const styles = { columns, tags: 2 * wide + 1, wide, aspect: 0.55 };
  for (const [name, value] of Object.entries(styles)) pre.style.setProperty(`--${name}`, value);
  pre.replaceChildren();
  for (const line of lines) {
    const [, open, cells, close] = line.match(/^(<row:\d+>)(.*)(<\/row:\d+>)$/);
    pre.append(make("span", "tag", open), cells, make("span", "tag", close), "\n");
  }
  pre.setAttribute("aria-label", `Text of the picture, ${lines.length} rows of ${columns} glyphs`);
  $("count").textContent = `${columns} × ${lines.length} cells${model ? ` · ${model.count(text)} tokens` : ""}`;
}

function showAnswer() {
  const { label, probabilities } = state;
  $("label").replaceChildren(make("span", label === null ? "soft" : "", label ?? "…"));
  const best = probabilities.find((one) => one.label === label);
  if (best) $("label").append(make("small", "", percent(best.probability)));
  $("bars").replaceChildren(
    ...probabilities.map((one) => {
      const item = make("li", one === best ? "best" : "");
      const track = make("span", "track");
      track.append(make("i"));
      track.firstChild.style.setProperty("--share", one.probability);
      item.append(make("span", "", one.label), track, make("span", "value", percent(one.probability)));
      return item;
    }),
  );
}

let asking = false;
let saying;

/** Answer the newest text; while an answer is under way, older texts are left out. */
async function answer() {
  if (!model || asking) return;
  asking = true;
  let text = "";
  while (state.text && state.text !== text) {
    text = state.text;
    const probabilities = await model.see(text).catch((error) => (fault(error), null));
    if (!probabilities) break;
    if (!state.text) continue;
    const { label } = probabilities.reduce((best, one) => (one.probability > best.probability ? one : best));
    Object.assign(state, { label, probabilities });
    showAnswer();
    clearTimeout(saying);
    saying = setTimeout(() => ($("answer-says").textContent = `Answer: ${label}`), 600);
  }
  asking = false;
}

async function changed(strokes) {
  const some = strokes.length > 0;
  $("pad-hint").hidden = $("text-hint").hidden = some;
  for (const id of ["undo", "clear", "copy"]) $(id).disabled = !some;
  if (!some) {
    Object.assign(state, { gray: null, text: "", label: null, probabilities: [] });
    $("text").replaceChildren();
    $("text").setAttribute("aria-label", "No text yet");
    $("count").textContent = $("answer-says").textContent = "";
    return showAnswer();
  }
  const { profile } = await about;
  state.gray = grayOf(strokes);
  state.text = encode(state.gray, profile);
  show(state.text, profile.width);
  answer();
}

const pad = drawOn($("pad"), $("marks"), { changed, says: (words) => ($("pen-says").textContent = words) });
$("undo").onclick = pad.undo;
$("clear").onclick = () => {
  pad.clear();
  $("pad").focus();
};
$("copy").onclick = async () => {
  await navigator.clipboard.writeText(state.text);
  $("copied").textContent = "Copied";
  setTimeout(() => ($("copied").textContent = ""), 2000);
};
document.documentElement.dataset.ready = "drawing";
loading.then(() => (document.documentElement.dataset.ready = "model"));
