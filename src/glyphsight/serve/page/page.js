// The page of glyphsight serve. No build step, no library, no foreign host.
import { drawOn } from "./pad.js";

const $ = (id) => document.getElementById(id);
const make = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};
const percent = (share) => `${share > 0.9995 ? 100 : (100 * share).toFixed(1)} %`;
const SVG = "http://www.w3.org/2000/svg";
const MOST_SECONDS = 10; // of a recording
const RATE = 16000; // of its WAV
const INLINE = 24000; // bytes of a picture that stands whole in a curl command

let facts; // what the server offers, from /page/profiles
let key = "";
let source = null; // {kind: "drawing" | "picture" | "sound", blob, name}
let whole = null; // the newest text and all about it
let read = null; // the text that is shown: the same, or that of one thing in the picture
let answer = null;
let part = 0; // number of the thing that is chosen, 0 for the whole picture
let changes = 0; // counts pictures and settings, so that an old answer is told from a new one

// ---------------------------------------------------------------- the server

class Refused extends Error {}

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(key ? { "X-Glyphsight-Key": key } : {}) };
  let reply;
  try {
    reply = await fetch(path, { ...options, headers, credentials: "omit" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The server does not answer. Is it still running?");
  }
  if (reply.ok) return reply;
  if (reply.status === 401) $("key-form").hidden = false;
  const said = await reply.json().catch(() => ({}));
  throw new Refused(said.error?.message ?? said.error ?? `The server answered ${reply.status}.`);
}

function fault(error) {
  if (error?.name === "AbortError") return;
  $("fault").textContent = error ? error.message : "";
  $("fault").hidden = !error;
  if (error && !(error instanceof Refused)) console.error(error);
}

// ---------------------------------------------------------------- text and answer

/** The settings that differ from the server's own. */
const settings = () => {
  const own = facts.profile;
  const chosen = { width: $("width").value, format: $("format").value };
  if ($("palette").value) Object.assign(chosen, { palette: $("palette").value, levels: $("levels").value });
  if (chosen.format === own.format) delete chosen.format;
  const others = chosen.format || chosen.palette;
  if (chosen.width === String(own.width) && !(facts.auto && others)) delete chosen.width;
  return chosen;
};
const query = (values) => {
  const text = new URLSearchParams(values).toString();
  return text && `?${text}`;
};

/** Tell whether the newest picture is not read or answered yet. */
const busy = () => $("reading").setAttribute("aria-busy", String(Boolean(due || reading || seeing)));

let reading; // AbortController of the request under way
let pause = 60; // milliseconds between two reads; grows where the server is slower
let due = 0;

/** Read the newest picture: throttled, an older request is aborted. */
function readSoon() {
  changes += 1;
  if (due) return;
  due = setTimeout(async () => {
    due = 0;
    if (!source) return;
    if (reading) pause = Math.min(4000, pause * 2);
    reading?.abort();
    const own = (reading = new AbortController());
    const begun = performance.now();
    try {
      const body = await current();
      if (source?.kind === "sound") return await see(); // the answer brings its text
      const reply = await ask(`/page/read${query(settings())}`, { method: "POST", body, signal: own.signal });
      const found = await reply.json();
      if (own.signal.aborted || !source) return;
      pause = Math.max(60, Math.min(4000, 1.3 * (performance.now() - begun)));
      fault(null);
      show((whole = found));
      see();
    } catch (error) {
      if (error.name !== "AbortError") refuse(error);
    } finally {
      if (reading === own) reading = null;
      busy();
    }
  }, pause);
  busy();
}

let seeing = false;

/** Ask for the answer; while it is under way, the newest picture waits and older ones are left out. */
async function see() {
  if (seeing || !source || (!facts.model && source.kind !== "sound")) return;
  seeing = true;
  const asked = changes;
  try {
    const sound = source.kind === "sound";
    const body = await current();
    const reply = await ask(`/page/${sound ? "hear" : "see"}${query(sound ? settings() : {})}`, { method: "POST", body });
    const found = await reply.json();
    if (!source || sound !== (source.kind === "sound")) return;
    if (found.answer?.parts.length < 2) part = 0;
    if (sound && asked === changes) {
      fault(null);
      show((whole = found));
      showPicture(found.picture, "The sound as a picture: time to the right, low notes below");
    }
    showAnswer(found.answer, found);
  } catch (error) {
    if (asked === changes) refuse(error);
  } finally {
    seeing = false;
    if (asked !== changes && !reading && !due) see();
    busy();
  }
}

function refuse(error) {
  fault(error);
  read = answer = null;
  $("text").textContent = "";
  $("text").setAttribute("aria-label", "No text");
  $("count").textContent = "";
  $("text-hint").hidden = false;
  showAnswer(null);
  update();
}

/** Show a text exactly: its tags are small, the cells as wide and high as the profile says. */
function show(found) {
  read = found;
  const pre = $("text");
  const { text, rows, profile } = found;
  const columns = Number(found.size);
  const lines = text.split("\n");
  const tags = lines[0].match(/^<row:1>(.*)<\/row:1>$/);
  const bare = lines.slice(0, -1).every((line) => [...line].length <= 2 * columns);
  pre.className = tags || bare ? "" : "plain";
  const wide = `<row:${rows}>`.length;
  const longest = tags ? columns : Math.max(...lines.map((line) => [...line].length));
  pre.style.setProperty("--columns", Math.max(longest, 12));
  pre.style.setProperty("--tags", tags ? 2 * wide + 1 : 0);
  pre.style.setProperty("--wide", wide);
  pre.style.setProperty("--aspect", profile.aspect);
  pre.replaceChildren();
  if (tags) {
    for (const line of lines.slice(0, -1)) {
      const [, open, cells, close] = line.match(/^(<row:\d+>)(.*)(<\/row:\d+>)$/);
      pre.append(make("span", "tag", open), cells, make("span", "tag", close), "\n");
    }
  } else {
    pre.textContent = text;
  }
  pre.setAttribute("aria-label", `Text of the picture, ${rows} rows of ${columns} glyphs, ${found.tokens} tokens`);
  $("text-hint").hidden = true;
  $("count").textContent = `${columns} × ${rows} cells · ${found.tokens} tokens`;
  const changed = Object.keys(settings()).length > 0;
  if (facts.auto && !changed) {
    facts.profile.width = columns; // as many as the tokens allow
    asTheModel();
    dial();
  }
  $("text-note").textContent =
    source.kind === "sound" && !facts.hears
      ? "This model does not hear. Here is the sound as text."
      : changed && facts.model
        ? "Your settings. The model still answers from its own text."
        : "";
  update();
}

function showAnswer(found, about) {
  answer = found;
  const parts = found?.parts ?? [];
  if (part > parts.length || parts.length < 2) part = 0;
  const label = $("label");
  label.className = "label";
  if (!found) {
    const quiet = !source ? "…" : !facts.model ? "No model of this server answers pictures" : facts.hears || source.kind !== "sound" ? "…" : "This model does not hear";
    label.replaceChildren(make("span", "soft", quiet));
    if (quiet.length > 2) label.classList.add("words");
    $("answer-note").textContent = $("found").textContent = "";
    $("bars").replaceChildren();
    $("parts").hidden = true;
    $("correct").hidden = true;
    $("marks").replaceChildren();
    return;
  }
  const chosen = part ? parts[part - 1] : found;
  const many = parts.length > 1 && !part;
  const name = many ? parts.map((one) => (one.known ? one.name : "?")).join(" ") : chosen.known ? chosen.name : "Nothing I know";
  label.replaceChildren(make("span", "", name));
  if (chosen.known && chosen.probability !== null && !many) label.append(make("small", "", percent(chosen.probability)));
  if ([...name].length > 8) label.classList.add("words");
  $("answer-note").textContent = many ? `${parts.length} things` : "";
  $("found").textContent = chosen.empty ? "There is nothing in it: every cell is alike." : found.found ? `Found ${found.found}.` : "";
  showParts(parts, about);
  showBars(many ? [] : chosen.probabilities, chosen);
  mark(found, about);
  $("correct").hidden = false;
  announce();
}

let saying;
const inWords = (one) => (one.known ? `${one.name}${one.probability === null ? "" : `, ${percent(one.probability)}`}` : "nothing I know");

/** Tell a screen reader the answer once the picture rests. */
function announce() {
  clearTimeout(saying);
  saying = setTimeout(() => {
    if (!answer) return;
    const parts = answer.parts ?? [];
    const said = parts.length > 1 ? `${parts.length} things: ${parts.map(inWords).join("; ")}` : inWords(answer);
    $("answer-says").textContent = `Answer: ${said}`;
  }, 600);
}

function showParts(parts, about) {
  $("parts").hidden = parts.length < 2;
  const focused = [...$("parts").children].indexOf(document.activeElement);
  $("parts").replaceChildren(
    ...parts.map((one, number) => {
      const button = make("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(part === number + 1));
      button.append(make("b", "", String(number + 1)), inWords(one).replace(", ", " · "));
      button.onclick = () => {
        part = part === number + 1 ? 0 : number + 1;
        showAnswer(answer, about);
        show(part ? { ...read, ...one.read } : whole);
      };
      return button;
    }),
  );
  if (focused >= 0) $("parts").children[focused]?.focus();
}

function showBars(probabilities, one) {
  const bars = $("bars");
  const rows = probabilities.slice(0, 12).sort((a, b) => (a.label < b.label ? -1 : 1));
  bars.classList.toggle("named", rows.some((row) => row.name.length > 3));
  rows.forEach((row, number) => {
    let item = bars.children[number];
    if (!item) {
      item = make("li");
      const track = make("span", "track");
      track.append(make("i"));
      item.append(make("span"), track, make("span", "value"));
      bars.append(item);
    }
    item.classList.toggle("best", one.known && row.label === one.label);
    item.children[0].textContent = row.name;
    item.children[1].firstChild.style.setProperty("--share", row.probability);
    item.children[2].textContent = percent(row.probability);
  });
  while (bars.children.length > rows.length) bars.lastChild.remove();
}

/** Draw what the model looked at over the picture. */
function mark(found, about) {
  const marks = $("marks");
  marks.replaceChildren(...marks.querySelectorAll(".pen"));
  const parts = found.parts ?? [];
  const boxes = (parts.length > 1 ? parts : [found]).map((one) => one.box);
  if (!about) return;
  marks.setAttribute("viewBox", `0 0 ${about.width} ${about.height}`);
  const unit = Math.max(about.width, about.height) / 24;
  boxes.forEach((box, number) => {
    if (!box) return;
    const [top, bottom, left, right] = box;
    const draw = (tag, values) => {
      const made = document.createElementNS(SVG, tag);
      for (const [name, value] of Object.entries(values)) made.setAttribute(name, value);
      return marks.appendChild(made);
    };
    const around = { x: left, y: top, width: right - left, height: bottom - top, rx: unit / 4 };
    draw("rect", { ...around, class: part === number + 1 ? "chosen" : "" });
    if (boxes.length < 2) return;
    const x = Math.max(0, left - unit * 0.5);
    const y = Math.max(0, top - unit * 0.7);
    draw("rect", { x, y, width: 1.5 * unit, height: 1.5 * unit, rx: unit / 4, class: "tag" });
    const text = draw("text", { x: x + 0.75 * unit, y: y + 0.78 * unit, "font-size": unit });
    text.textContent = number + 1;
  });
}

function update() {
  const some = Boolean(source);
  $("pad-hint").hidden = some || Boolean(pen);
  $("clear").disabled = !some;
  $("undo").disabled = source?.kind !== "drawing" || !strokes.length;
  $("ask-it").disabled = !some || source.kind === "sound";
  document.querySelectorAll("[data-copy]").forEach((one) => {
    one.disabled = !read || (one.dataset.copy === "curl" && source?.kind === "sound");
  });
  $("own").disabled = !Object.keys(settings()).length;
  const notes = { drawing: "drawn here", picture: source?.name ?? "", sound: source?.name ?? "" };
  $("picture-note").textContent = some ? notes[source.kind] : "";
}

// ---------------------------------------------------------------- the drawing area

const pad = $("pad");
let strokes = [];
let pen = null; // where it is, while keys draw

/** The bytes of the picture now: those of the file, or the drawing on black as PNG. */
async function current() {
  if (source.kind !== "drawing") return source.blob;
  const flat = Object.assign(document.createElement("canvas"), { width: 280, height: 280 });
  const paper = flat.getContext("2d", { alpha: false });
  paper.drawImage(pad, 0, 0, 280, 280);
  return new Promise((done) => flat.toBlob(done, "image/png"));
}

const drawing = drawOn(pad, $("marks"), {
  says: (words) => ($("pen-says").textContent = words),
  closed: () => Boolean(source) && source.kind !== "drawing",
  moved(place) {
    pen = place;
    update();
  },
  changed(now) {
    strokes = now;
    if (!strokes.length) return forget();
    source ??= { kind: "drawing" };
    mark({ box: null });
    readSoon();
    update();
  },
});

/** Leave the picture, whatever it was. */
function forget() {
  changes += 1;
  clearTimeout(due);
  due = 0;
  reading?.abort();
  source = read = null;
  part = 0;
  showPicture(null);
  $("text").replaceChildren();
  $("text").setAttribute("aria-label", "No text yet");
  $("text-hint").hidden = false;
  for (const id of ["count", "text-note", "reply", "answer-says"]) $(id).textContent = "";
  if (facts?.samples) $("kept").textContent = "";
  showAnswer(null);
  fault(null);
  update();
}
$("undo").onclick = drawing.undo;
$("clear").onclick = () => {
  drawing.clear();
  pad.focus();
};

// ---------------------------------------------------------------- files, samples, sounds

function showPicture(url, alt = "") {
  const shown = $("shown");
  if (shown.src.startsWith("blob:") && shown.src !== url) URL.revokeObjectURL(shown.src);
  shown.hidden = !url;
  shown.alt = alt;
  if (url) shown.src = url;
  else shown.removeAttribute("src");
  shown.onload = () => shown.classList.toggle("small", Math.max(shown.naturalWidth, shown.naturalHeight) < 120);
}

function take(blob, name = "picture") {
  const kind = blob.type.startsWith("audio/") ? "sound" : "picture";
  drawing.clear();
  drawing.hide();
  source = { kind, blob, name };
  if (kind === "picture") showPicture(URL.createObjectURL(blob), name);
  readSoon();
  update();
}

$("choose").onclick = () => $("file").click();
$("file").onchange = () => {
  if ($("file").files[0]) take($("file").files[0], $("file").files[0].name);
  $("file").value = "";
};
addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((one) => /^(image|audio)\//.test(one.type));
  if (!file) return;
  event.preventDefault();
  take(file, "pasted");
});
let inside = 0;
const withFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", (event) => {
  if (withFiles(event)) $("drop").hidden = !(inside += 1);
});
addEventListener("dragleave", (event) => {
  if (withFiles(event) && !(inside -= 1)) $("drop").hidden = true;
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  inside = 0;
  $("drop").hidden = true;
  const file = event.dataTransfer.files[0];
  if (file) take(file, file.name);
});

/** Write samples, floats -1 to 1, as a WAV of 16 bits. */
function wav(samples) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const words = (at, text) => [...text].forEach((letter, n) => view.setUint8(at + n, letter.charCodeAt(0)));
  words(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  words(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, 2 * RATE, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  words(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, n) => view.setInt16(44 + 2 * n, Math.max(-1, Math.min(1, value)) * 32767, true));
  return new Blob([view], { type: "audio/wav" });
}

let recorder = null;
$("record").onclick = async () => {
  if (recorder) return recorder.stop();
  try {
    if (!navigator.mediaDevices) throw new Refused("The browser records on localhost and over https alone. Open a sound file instead.");
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const pieces = [];
    recorder = new MediaRecorder(stream);
    recorder.ondataavailable = (event) => pieces.push(event.data);
    recorder.onstop = async () => {
      clearTimeout(recorder.end);
      stream.getTracks().forEach((track) => track.stop());
      const type = recorder.mimeType;
      recorder = null;
      $("record").setAttribute("aria-pressed", "false");
      $("record-says").textContent = "Record";
      try {
        const context = new OfflineAudioContext(1, 1, RATE);
        const heard = await context.decodeAudioData(await new Blob(pieces, { type }).arrayBuffer());
        take(wav(heard.getChannelData(0)), `recorded, ${heard.duration.toFixed(1)} s`);
      } catch {
        fault(new Refused("The recording cannot be read. Open a WAV file instead."));
      }
    };
    recorder.start();
    recorder.end = setTimeout(() => recorder?.stop(), MOST_SECONDS * 1000);
    $("record").setAttribute("aria-pressed", "true");
    $("record-says").textContent = "Stop";
  } catch (error) {
    recorder = null;
    fault(error instanceof Refused ? error : new Refused("No microphone: the browser or the system does not let this page record. Open a sound file instead."));
  }
};

// ---------------------------------------------------------------- copy, correct, ask

const asDataUrl = (blob) =>
  new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.readAsDataURL(blob);
  });
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const chat = (url, question) => ({
  model: $("which").value || facts.model,
  messages: [{ role: "user", content: [{ type: "image_url", image_url: { url } }, ...(question ? [{ type: "text", text: question }] : [])] }],
});

async function curl() {
  const blob = await current();
  const question = $("question").value || (facts.upstream ? $("question").placeholder : "");
  const small = blob.size <= INLINE;
  const name = source.name?.replace(/[^\w.-]/g, "_") || "picture.png";
  const type = blob.type || "image/png";
  let body = JSON.stringify(chat(small ? await asDataUrl(blob) : "@PICTURE@", question));
  body = quoted(body).replace("@PICTURE@", `data:${type};base64,'"$(base64 < ${name} | tr -d '\\n')"'`);
  const login = key ? ' -H "X-Glyphsight-Key: $GLYPHSIGHT_API_KEY"' : "";
  const from = small ? "-d " + body : `-d @- <<< ${body}`;
  return `curl ${location.origin}/v1/chat/completions -H 'Content-Type: application/json'${login} ${from}`;
}

const copies = {
  text: async () => read.text,
  record: async () => JSON.stringify({ size: read.size, ASCII_image: read.text, Response: truth() ?? answer?.label ?? "" }, null, 2),
  curl,
};
document.querySelectorAll("[data-copy]").forEach((button) => {
  button.onclick = async () => {
    const text = await copies[button.dataset.copy]();
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = make("textarea", "sr", text); // without https there is no clipboard to write to
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    $("copied").textContent = "Copied";
    setTimeout(() => ($("copied").textContent = ""), 2500);
  };
});

/** The label that the correction means: a label, or its name. */
function truth() {
  const said = $("truth").value.trim();
  if (!said) return null;
  return facts.labels.find((one) => one.name.toLowerCase() === said.toLowerCase())?.label ?? said;
}

$("correct").onsubmit = async (event) => {
  event.preventDefault();
  const values = { label: truth(), ...(part ? { part } : {}) };
  if (!source || !values.label) return;
  if (answer?.parts.length > 1 && !part) {
    $("kept").textContent = "Choose one of the things above first.";
    return;
  }
  try {
    const reply = await ask(`/page/correct${query(values)}`, { method: "POST", body: await current() });
    const { records } = await reply.json();
    fault(null);
    $("kept").textContent = `Kept as ${$("truth").value.trim()}: ${records} ${records === 1 ? "sample" : "samples"} to train on.`;
    $("truth").value = "";
  } catch (error) {
    $("kept").textContent = error.message;
  }
};

/** The names of the upstream's models. */
async function models() {
  try {
    return (await (await ask("/v1/models")).json()).data.map((one) => one.id);
  } catch {
    return []; // the upstream is not there yet; asking it says so
  }
}

let offered = [];
let asking;
$("ask").onsubmit = async (event) => {
  event.preventDefault();
  if (!source) return;
  asking?.abort();
  const own = (asking = new AbortController());
  $("reply").textContent = "…";
  try {
    const body = JSON.stringify({ ...chat(await asDataUrl(await current()), $("question").value), stream: true });
    const reply = await ask("/v1/chat/completions", { method: "POST", body, signal: own.signal, headers: { "Content-Type": "application/json" } });
    if (!reply.headers.get("content-type")?.includes("event-stream")) {
      $("reply").textContent = (await reply.json()).choices?.[0]?.message?.content ?? "(no answer)";
      return;
    }
    const lines = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    let held = "";
    let said = "";
    for (;;) {
      const { value, done } = await lines.read();
      if (done) break;
      const split = (held + value).split("\n");
      held = split.pop();
      for (const line of split.filter((one) => one.startsWith("data: {"))) {
        const piece = JSON.parse(line.slice(6));
        if (piece.error) throw new Refused(piece.error.message ?? String(piece.error));
        said += piece.choices?.[0]?.delta?.content ?? "";
        if (said) $("reply").textContent = said.trim();
      }
    }
    if (!said) $("reply").textContent = "(no answer)";
  } catch (error) {
    if (error.name !== "AbortError") $("reply").textContent = error.message;
  }
};

// ---------------------------------------------------------------- settings


function dial(event) {
  const changed = event?.target.id;
  const { profile, palettes, formats } = facts;
  const own = [...profile.palette].length;
  if (changed === "levels" && !$("palette").value && Number($("levels").value) !== own) {
    $("palette").value = Object.keys(palettes).find((name) => [...palettes[name]].length >= $("levels").value);
  }
  if (changed === "palette") $("levels").value = $("palette").value ? [...palettes[$("palette").value]].length : own;
  const form = formats.find((one) => one.name === $("format").value);
  if (form.levels < Number($("levels").value)) {
    if (!$("palette").value) $("palette").value = "seed";
    $("levels").value = form.levels;
  }
  const palette = $("palette").value;
  $("levels").max = Math.min(16, form.levels, palette && palette !== "digits" ? [...palettes[palette]].length : 16);
  $("width-says").textContent = $("width").value;
  $("levels-says").textContent = $("levels").value;
  $("format-says").textContent = form.help;
  update();
  if (event && source) readSoon();
}

function asTheModel() {
  const { profile } = facts;
  $("width").max = Math.max(80, profile.width);
  $("width").value = profile.width;
  $("levels").max = 16;
  $("levels").value = [...profile.palette].length;
  $("palette").value = "";
  $("format").value = profile.format;
}

for (const id of ["width", "levels", "palette", "format"]) $(id).addEventListener("input", dial);
$("own").onclick = (event) => {
  asTheModel();
  dial(event);
  $("width").focus();
};

$("key-form").onsubmit = (event) => {
  event.preventDefault();
  key = $("key").value;
  $("key-form").hidden = true;
  fault(null);
  start();
};

async function start() {
  try {
    facts = await (await ask("/page/profiles")).json();
    offered = facts.upstream ? await models() : [];
  } catch (error) {
    return fault(error);
  }
  const { profile, palettes, formats, labels, questions } = facts;
  $("model").hidden = false;
  $("model-name").textContent = facts.model ?? "text alone";
  const option = (value, text) => Object.assign(make("option", "", text), { value });
  $("palette").replaceChildren(
    option("", `the model's: ${profile.palette.replace(" ", "␣")}`),
    ...Object.entries(palettes).map(([name, glyphs]) => option(name, `${name}: ${glyphs.replace(" ", "␣")}`)),
  );
  $("format").replaceChildren(...formats.map(({ name }) => option(name, name)));
  $("labels").replaceChildren(...labels.map(({ name }) => option(name, "")));
  $("questions").replaceChildren(...questions.map((one) => option(one, "")));
  $("question").required = facts.upstream;
  $("question").placeholder = questions[0] ?? (facts.upstream ? "What is in the picture?" : "its own question");
  $("ask-note").textContent = facts.upstream ? "" : "Left empty, it is the question that the model was trained on.";
  $("samples").hidden = !facts.pictures;
  $("samples").replaceChildren(
    ...Array.from({ length: facts.pictures }, (_, number) => {
      const button = make("button");
      button.type = "button";
      const name = number < 10 ? `Sample digit ${number}` : "Sample sheet of several digits";
      button.setAttribute("aria-label", name);
      const got = ask(`/page/sample/${number}.png`).then((reply) => reply.blob());
      got.then((blob) => button.append(Object.assign(make("img"), { src: URL.createObjectURL(blob), alt: "" })), fault);
      button.onclick = async () => take(await got, name.toLowerCase());
      return button;
    }),
  );
  $("which").replaceChildren(...offered.map((name) => option(name, name)));
  $("which").hidden = offered.length < 2;
  $("kept").textContent = facts.samples ? "" : "This server keeps no corrections. Start it with --samples DIR.";
  $("truth").disabled = $("keep").disabled = !facts.samples;
  asTheModel();
  dial();
}
if (matchMedia("(max-width: 50rem)").matches) $("dials").open = false;
start();
