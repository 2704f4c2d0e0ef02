// The codec in JavaScript: gray pictures to ASCII_Images, byte for byte as glyphsight's own
// (src/glyphsight/codec). No build step, no library. Doubles are exact here for the reason that
// resample.py gives: weights are whole multiples of 2**-22, pixels whole numbers up to 255.

/** A profile of which something is not written here; `field` names it. */
export class Unsupported extends Error {
  constructor(field, value) {
    super(`${field} ${JSON.stringify(value)} is not supported here; use glyphsight itself`);
    this.field = field;
  }
}

export const PUBLISHED = {
  width: 20, palette: " ▓█", format: "seed", filter: "bicubic", height: null, widest: null, aspect: 0.55, invert: "no",
  ink: false, paper: false, centre: false, trim: null, crop: null, contrast: false, threshold: "equal", dither: "none", edges: "none",
};
const SEEKS_INK = 48; // pixels of the longer side: in smaller pictures no ink is sought
const FAINT = 16; // gray values of the smallest range with content
const ONE = 2 ** 22;

/** A gray picture: `pixels` are height * width values 0 (black) to 255 (white), row by row. */
const picture = (height, width, pixels = new Uint8Array(height * width)) => ({ height, width, pixels });

/** Round halves to even, as numpy does. */
function roundEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2) ? low + 1 : low;
}
const clip = (value, low, high) => Math.min(high, Math.max(low, value));

// ---------------------------------------------------------------- the resize

const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));
const KERNELS = { // kernel and support
  box: [(x) => (x > -0.5 && x <= 0.5 ? 1 : 0), 0.5],
  bilinear: [(x) => Math.max(1 - Math.abs(x), 0), 1],
  hamming: [(x) => {
    x = Math.abs(x);
    return x === 0 ? 1 : x < 1 ? sinc(x) * (Math.fround(0.54) + Math.fround(0.46) * Math.cos(x * Math.PI)) : 0;
  }, 1],
  bicubic: [(x) => {
    x = Math.abs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
  }, 2],
  lanczos: [(x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0), 3],
};

/** Weights of one axis: for each pixel of the result its first pixel and their weights. */
function weights(from, to, filter) {
  const scale = from / to;
  const found = [];
  if (filter === "nearest") {
    for (let out = 0, at = scale * 0.5; out < to; out += 1, at += scale) {
      found.push({ first: Math.min(Math.trunc(at), from - 1), row: [1] });
    }
    return found;
  }
  if (!KERNELS[filter]) throw new Unsupported("filter", filter);
  const [kernel, support] = KERNELS[filter];
  const stretch = Math.max(scale, 1);
  for (let out = 0; out < to; out += 1) {
    const centre = (out + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - support * stretch + 0.5), 0);
    const last = Math.min(Math.trunc(centre + support * stretch + 0.5), from);
    const row = [];
    for (let at = first; at < last; at += 1) row.push(kernel((at - centre + 0.5) * (1 / stretch)));
    const total = row.reduce((sum, one) => sum + one, 0);
    found.push({
      first,
      row: row.map((one) => {
        const share = total ? one / total : one;
        return Math.trunc((share < 0 ? -0.5 : 0.5) + share * ONE) / ONE;
      }),
    });
  }
  return found;
}

/** Resize: the horizontal pass first, rounded and clipped, then the vertical one. */
export function resize({ height, width, pixels }, rows, columns, filter = "bicubic") {
  let across = picture(height, width, pixels);
  if (width !== columns) {
    across = picture(height, columns);
    weights(width, columns, filter).forEach(({ first, row }, column) => {
      for (let y = 0; y < height; y += 1) {
        let sum = 0;
        for (let n = 0; n < row.length; n += 1) sum += row[n] * pixels[y * width + first + n];
        across.pixels[y * columns + column] = clip(Math.floor(sum + 0.5), 0, 255);
      }
    });
  }
  if (height === rows) return across;
  const result = picture(rows, columns);
  weights(height, rows, filter).forEach(({ first, row }, y) => {
    for (let x = 0; x < columns; x += 1) {
      let sum = 0;
      for (let n = 0; n < row.length; n += 1) sum += row[n] * across.pixels[(first + n) * columns + x];
      result.pixels[y * columns + x] = clip(Math.floor(sum + 0.5), 0, 255);
    }
  });
  return result;
}

// ---------------------------------------------------------------- polarity, centring, trim, crop, contrast

function ends(pixels) {
  let low = 255;
  let high = 0;
  for (const value of pixels) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** Tell whether the background, the median of the outermost pixels, is the brighter side. */
function isDarkOnLight({ height, width, pixels }) {
  const border = [];
  for (let x = 0; x < width; x += 1) border.push(pixels[x], pixels[(height - 1) * width + x]);
  for (let y = 0; y < height; y += 1) border.push(pixels[y * width], pixels[(y + 1) * width - 1]);
  border.sort((a, b) => a - b);
  const [low, high] = ends(pixels);
  return border[border.length / 2 - 1] + border[border.length / 2] > low + high;
}

const turn = (gray, turned) => (turned ? picture(gray.height, gray.width, gray.pixels.map((value) => 255 - value)) : gray);

/** Find what is brighter than a fifth of the range; null for a flat picture. */
function contentBox({ height, width, pixels }) {
  const [low, high] = ends(pixels);
  if (high - low < FAINT) return null;
  const least = Math.floor((4 * low + high) / 5);
  const box = { top: height, bottom: 0, left: width, right: 0 };
  pixels.forEach((value, at) => {
    if (value <= least) return;
    const x = at % width;
    const y = (at - x) / width;
    box.top = Math.min(box.top, y);
    box.bottom = Math.max(box.bottom, y + 1);
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x + 1);
  });
  return box;
}

function cut({ width, pixels }, top, bottom, left, right) {
  const part = picture(bottom - top, right - left);
  for (let y = top; y < bottom; y += 1) {
    part.pixels.set(pixels.subarray(y * width + left, y * width + right), (y - top) * part.width);
  }
  return part;
}

/** Centre of mass, in pixels from the top and from the left. */
function centreOfMass({ height, width, pixels }, low = 0) {
  let [total, down, across] = [0, 0, 0];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const mass = pixels[y * width + x] - low;
      total += mass;
      down += mass * (y + 0.5);
      across += mass * (x + 0.5);
    }
  }
  total = Math.max(total, 1);
  return [down / total, across / total];
}

function liesCentred(gray, { top, bottom, left, right }) {
  const { height, width } = gray;
  if (!(width / height > 0.9 && width / height < 1.1)) return false;
  const longest = Math.max(bottom - top, right - left) / Math.max(height, width);
  const off = Math.max(Math.abs(top + bottom - height) / height, Math.abs(left + right - width) / width);
  if (longest >= 0.6 && longest <= 0.8 && off <= 0.3) return true;
  if (!(longest >= 0.5 && longest <= 0.8)) return false;
  const [down, across] = centreOfMass(gray, ends(gray.pixels)[0]);
  const middle = 14.5 / 28;
  return Math.max(Math.abs(down / height - middle), Math.abs(across / width - middle)) <= 0.6 / 28;
}

/** Scale content to a 20x20 box, its centre of mass to the middle of 28x28, as MNIST has it. */
function centre(gray) {
  const light = isDarkOnLight(gray);
  const bright = turn(gray, light);
  const box = contentBox(bright);
  if (!box || liesCentred(bright, box)) return gray;
  const [low, high] = ends(bright.pixels);
  const content = cut(bright, box.top, box.bottom, box.left, box.right);
  const stretch = 255 / (high - low);
  content.pixels = content.pixels.map((value) => roundEven((value - low) * stretch));
  const scale = 20 / Math.max(content.height, content.width);
  const tall = Math.max(1, roundEven(content.height * scale));
  const wide = Math.max(1, roundEven(content.width * scale));
  const small = resize(content, tall, wide);
  const [down, across] = centreOfMass(small);
  const top = clip(Math.ceil(14 - down), 0, 28 - tall);
  const left = clip(Math.ceil(14 - across), 0, 28 - wide);
  const result = picture(28, 28);
  for (let y = 0; y < tall; y += 1) {
    result.pixels.set(small.pixels.subarray(y * wide, (y + 1) * wide), (top + y) * 28 + left);
  }
  return turn(result, light);
}

/** Cut the quiet beginning and end off a spectrogram. */
function trim(gray, decibels) {
  const power = new Float64Array(gray.width);
  gray.pixels.forEach((value, at) => {
    if (value) power[at % gray.width] += 10 ** ((value / 255 - 1) * 6);
  });
  const least = Math.max(...power) * 10 ** (-decibels / 10);
  const first = power.findIndex((value) => value >= least);
  return cut(gray, 0, gray.height, first, power.findLastIndex((value) => value >= least) + 1);
}

function crop(gray, margin) {
  const box = contentBox(turn(gray, isDarkOnLight(gray)));
  if (!box) return gray;
  const extra = Math.ceil(margin * Math.max(box.bottom - box.top, box.right - box.left));
  const { height, width } = gray;
  const [top, left] = [Math.max(0, box.top - extra), Math.max(0, box.left - extra)];
  return cut(gray, top, Math.min(height, box.bottom + extra), left, Math.min(width, box.right + extra));
}

/** Stretch gray so that the darkest and brightest hundredth become black and white. */
function stretchContrast(gray) {
  const counts = new Array(256).fill(0);
  for (const value of gray.pixels) counts[value] += 1;
  for (let value = 1; value < 256; value += 1) counts[value] += counts[value - 1];
  const spared = Math.floor(counts[255] / 100);
  let low = counts.findIndex((count) => count > spared);
  let high = counts.findIndex((count) => count >= counts[255] - spared);
  if (low >= high) [low, high] = ends(gray.pixels);
  if (low >= high) return gray;
  const span = high - low;
  const stretched = (value) => clip(Math.floor((510 * (value - low) + span) / (2 * span)), 0, 255);
  return picture(gray.height, gray.width, gray.pixels.map(stretched));
}

// ---------------------------------------------------------------- gray values to levels

const equal = (levels) => (value) => Math.floor((value * levels) / 256);
const above = (thresholds) => (value) => thresholds.filter((one) => one <= value).length;

/** Thresholds of the largest variance between levels (Otsu); null with fewer values than levels. */
function otsu(pixels, levels) {
  const counts = new Array(256).fill(0);
  for (const value of pixels) counts[value] += 1;
  const values = [...counts.keys()].filter((value) => counts[value]);
  const size = values.length;
  if (size < levels) return null;
  const count = [0];
  const total = [0];
  values.forEach((value, n) => {
    count.push(count[n] + counts[value]);
    total.push(total[n] + value * counts[value]);
  });
  const gain = (start, end) => (end > start ? (total[end] - total[start]) ** 2 / (count[end] - count[start]) : -Infinity);
  let best = total.map((_, end) => gain(0, end));
  const choices = [];
  for (let left = 1; left < levels; left += 1) {
    const choice = best.map((_, end) => {
      let found = 0;
      for (let start = 1; start <= size; start += 1) {
        if (best[start] + gain(start, end) > best[found] + gain(found, end)) found = start;
      }
      return found;
    });
    best = choice.map((start, end) => best[start] + gain(start, end));
    choices.unshift(choice);
  }
  let first = size;
  return choices.map((choice) => values[(first = choice[first])]).reverse();
}

/** Quantize the difference to the mean of a window, all in whole numbers. */
function adaptive({ height, width, pixels }, levels) {
  const radius = Math.max(1, Math.floor(Math.max(height, width) / 8));
  return pixels.map((value, at) => {
    const x = at % width;
    const y = (at - x) / width;
    let sum = 0;
    let area = 0;
    for (let row = Math.max(y - radius, 0); row < Math.min(y + radius + 1, height); row += 1) {
      for (let column = Math.max(x - radius, 0); column < Math.min(x + radius + 1, width); column += 1) {
        sum += pixels[row * width + column];
        area += 1;
      }
    }
    return clip(Math.floor((((255 + 2 * value) * area - 2 * sum) * levels) / (512 * area)), 0, levels - 1);
  });
}

const BAYER = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];
function ordered({ width, pixels }, levels) {
  return pixels.map((value, at) => {
    const x = at % width;
    const bias = 2 * BAYER[((at - x) / width) % 4][x % 4] + 1;
    return Math.floor((value * 32 * (levels - 1) + 255 * bias) / (255 * 32));
  });
}

/** Diffuse errors. The order of the four sums is that of the fronts in levels.py. */
function diffused({ height, width, pixels }, levels) {
  const step = 255 / (levels - 1);
  const result = new Uint8Array(pixels.length);
  let before = new Float64Array(width + 2); // errors of the row above, one further on each side
  for (let y = 0; y < height; y += 1) {
    const errors = new Float64Array(width + 2);
    for (let x = 0; x < width; x += 1) {
      let value = pixels[y * width + x];
      value += before[x];
      value += 5 * before[x + 1];
      value += 7 * errors[x];
      value += 3 * before[x + 2];
      const level = clip(Math.floor(value / step + 0.5), 0, levels - 1);
      result[y * width + x] = level;
      errors[x + 1] = (value - level * step) / 16;
    }
    before = errors;
  }
  return result;
}

function toLevels(grid, { threshold, dither }, levels) {
  if (dither === "ordered") return ordered(grid, levels);
  if (dither === "floyd-steinberg") return diffused(grid, levels);
  if (dither !== "none") throw new Unsupported("dither", dither);
  if (Array.isArray(threshold)) return grid.pixels.map(above(threshold));
  if (threshold === "adaptive") return adaptive(grid, levels);
  if (threshold === "equal") return grid.pixels.map(equal(levels));
  if (threshold !== "otsu") throw new Unsupported("threshold", threshold);
  const found = otsu(grid.pixels, levels);
  return grid.pixels.map(found ? above(found) : equal(levels));
}

// ---------------------------------------------------------------- levels to text

const tags = { before: (row) => `<row:${row}>`, after: (row) => `</row:${row}>` };
const DIGITS = "0123456789abcdef";
const PACKED = { rle, hex, coords };
const FORMATS = {
  rle: {},
  hex: {},
  coords: {},
  seed: tags,
  plain: {},
  trim: {},
  rows: { before: (row) => `${row}:` },
  spaced: { gap: " " },
  digits: { alphabet: DIGITS },
  half: { bits: [[1], [2]], alphabet: " ▀▄█" },
  quadrant: { bits: [[1, 2], [4, 8]], alphabet: " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█" },
  braille: {
    bits: [[1, 8], [2, 16], [4, 32], [64, 128]],
    alphabet: String.fromCodePoint(...Array.from({ length: 256 }, (_, n) => 0x2800 + n)),
  },
};

/** Run lengths of a row: each its length and its glyph, none for the darkest. */
function rle(lines, palette) {
  return lines.map((line) => {
    const runs = [];
    line.forEach((level, x) => (x && level === line[x - 1] ? (runs.at(-1)[0] += 1) : runs.push([1, level])));
    return runs.map(([length, level]) => `${length}${level ? palette[level] : ""}`).join(" ");
  });
}

/** The size, then rows of hexadecimal digits, of 4 cells at 2 levels, 2 up to 4, 1 above. */
function hex(lines, palette) {
  const bits = palette.length <= 2 ? 1 : palette.length <= 4 ? 2 : 4;
  const packed = lines.map((line) => {
    let digits = "";
    for (let x = 0; x < line.length; x += 4 / bits) {
      let digit = 0;
      for (let n = 0; n < 4 / bits; n += 1) digit = (digit << bits) | (line[x + n] ?? 0);
      digits += DIGITS[digit];
    }
    return digits;
  });
  return [`${lines[0].length}x${lines.length}`, ...packed];
}

/** The size, then the points x,y of each level above the darkest. */
function coords(lines, palette) {
  const points = palette.slice(1).map((_, n) => {
    const found = lines.flatMap((line, y) => line.flatMap((level, x) => (level === n + 1 ? [` ${x},${y}`] : [])));
    return `${n + 1}:${found.join("")}`;
  });
  return [`${lines[0].length}x${lines.length}`, ...points];
}

function write(levels, rows, columns, { format, palette }) {
  if (PACKED[format]) {
    const lines = Array.from({ length: rows }, (_, y) => [...levels.subarray(y * columns, (y + 1) * columns)]);
    return `${PACKED[format](lines, [...palette]).join("\n")}\n`;
  }
  const { before, after, gap = "", bits = [[1]], alphabet = palette } = FORMATS[format];
  const glyphs = [...alphabet];
  const dark = [...palette][0];
  const wide = columns * bits[0].length;
  let text = "";
  for (let row = 0; row < rows; row += 1) {
    const cells = [];
    for (let column = 0; column < columns; column += 1) {
      let symbol = 0;
      bits.forEach((line, y) => line.forEach((bit, x) => {
        symbol += bit * levels[(row * bits.length + y) * wide + column * line.length + x];
      }));
      cells.push(glyphs[symbol]);
    }
    if (format === "trim" && row > 0 && row < rows - 1) while (cells.at(-1) === dark) cells.pop();
    text += `${before?.(row + 1) ?? ""}${cells.join(gap)}${after?.(row + 1) ?? ""}\n`;
  }
  return text;
}

// ---------------------------------------------------------------- all of it

/** Columns of a picture: a wide one's keep its shape, up to `widest`. */
function columnsOf(one, { width, height, widest, aspect }) {
  if (widest === null || height === null) return width;
  const exact = (height * one.width) / one.height / aspect;
  const down = Math.floor(exact);
  const up = exact - down > 0.5 || (exact - down === 0.5 && down % 2 === 1); // half to even
  const columns = Math.min(down + up, widest);
  return columns > 2 * width ? columns : width;
}

/**
 * Encode a gray picture.
 *
 * @param {{height: number, width: number, pixels: Uint8Array}} gray 0 black to 255 white, row by row
 * @param {object} settings fields of a profile that differ from the published one
 * @returns {string} the ASCII_Image
 * @throws {Unsupported} a field of the profile is not written here
 */
export function encode(gray, settings = {}) {
  const profile = { ...PUBLISHED, ...settings };
  for (const field of Object.keys(profile)) {
    if (!(field in PUBLISHED)) throw new Unsupported("field", field);
  }
  const { format, edges, invert } = profile;
  if (!FORMATS[format]) throw new Unsupported("format", format);
  if (edges !== "none") throw new Unsupported("edges", edges);
  if (!["no", "yes", "auto"].includes(invert)) throw new Unsupported("invert", invert);
  for (const field of ["ink", "paper"]) {
    if (profile[field] && Math.max(gray.height, gray.width) >= SEEKS_INK) throw new Unsupported(field, true);
  }
  let one = turn(gray, invert === "yes" || (invert === "auto" && isDarkOnLight(gray)));
  if (profile.centre) one = centre(one);
  if (profile.trim !== null) one = trim(one, profile.trim);
  if (profile.crop !== null) one = crop(one, profile.crop);
  const bits = FORMATS[format].bits ?? [[1]];
  const rows = profile.height ?? Math.max(1, Math.trunc(((profile.width * one.height) / one.width) * profile.aspect));
  if (profile.contrast) one = stretchContrast(one);
  const columns = columnsOf(one, profile);
  const grid = resize(one, rows * bits.length, columns * bits[0].length, profile.filter);
  const levels = toLevels(grid, profile, [...profile.palette].length);
  return write(levels, rows, columns, profile);
}
