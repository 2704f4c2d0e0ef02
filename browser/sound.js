// Sounds to pictures of their spectra, as src/glyphsight/codec/sound.py computes them.
const RATE = 8000;
const WINDOW = 200;
const HOP = 80;
const POINTS = 512;
const BANDS = 64;
const RANGE = 60;

const toMel = (hertz) => 2595 * Math.log10(1 + hertz / 700);
const toHertz = (mel) => 700 * (10 ** (mel / 2595) - 1);

/** Triangular bands, equally wide on the mel scale, as weights of the spectrum's points. */
function filters() {
  const top = toMel(RATE / 2);
  const corners = Array.from({ length: BANDS + 2 }, (_, n) => toHertz((n * top) / (BANDS + 1)));
  return Array.from({ length: BANDS }, (_, band) => {
    const [low, middle, high] = corners.slice(band, band + 3);
    return Array.from({ length: POINTS / 2 + 1 }, (_, point) => {
      const hertz = (point * RATE) / POINTS;
      return Math.max(0, Math.min((hertz - low) / (middle - low), (high - hertz) / (high - middle)));
    });
  });
}

/**
 * Compute the log-mel spectrogram of a sound.
 *
 * @param {ArrayLike<number>} samples -1 to 1, 8,000 a second
 * @returns {{height: number, width: number, pixels: Uint8Array}} a column each 10 ms, 64 bands, low ones at the bottom
 */
export function spectrogram(samples) {
  const frames = 1 + Math.max(0, Math.ceil((samples.length - WINDOW) / HOP));
  const cosines = Float64Array.from({ length: POINTS }, (_, n) => Math.cos((2 * Math.PI * n) / POINTS));
  const sines = Float64Array.from({ length: POINTS }, (_, n) => Math.sin((2 * Math.PI * n) / POINTS));
  const hann = Array.from({ length: WINDOW }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / (WINDOW - 1)));
  const bands = filters();
  const power = new Float64Array(BANDS * frames);
  for (let frame = 0; frame < frames; frame += 1) {
    const piece = hann.map((weight, n) => weight * (samples[frame * HOP + n] ?? 0));
    const spectrum = Array.from({ length: POINTS / 2 + 1 }, (_, point) => {
      let [real, imaginary] = [0, 0];
      piece.forEach((value, n) => {
        real += value * cosines[(point * n) % POINTS];
        imaginary += value * sines[(point * n) % POINTS];
      });
      return real * real + imaginary * imaginary;
    });
    bands.forEach((weights, band) => {
      let sum = 0;
      weights.forEach((weight, point) => (sum += weight * spectrum[point]));
      power[(BANDS - 1 - band) * frames + frame] = sum;
    });
  }
  const loudest = power.reduce((most, one) => Math.max(most, one), Number.MIN_VALUE);
  const pixels = Uint8Array.from(power, (one) => {
    const decibels = 10 * Math.log10(Math.max(one / loudest, 10 ** (-RANGE / 10)));
    return Math.round((decibels + RANGE) * (255 / RANGE));
  });
  return { height: BANDS, width: frames, pixels };
}
