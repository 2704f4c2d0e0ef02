// Answer the conformance set with the codec in JavaScript:
//     python conformance/run.py node browser/conformance.mjs
import { readFileSync } from "node:fs";
import { encode, Unsupported } from "./codec.js";
import { spectrogram } from "./sound.js";

function gray({ height, width, pixels, samples }) {
  if (!samples) return { height, width, pixels: new Uint8Array(Buffer.from(pixels, "base64")) };
  const bytes = Buffer.from(samples, "base64");
  return spectrogram(Array.from({ length: bytes.length / 2 }, (_, n) => bytes.readInt16LE(2 * n) / 32768));
}

for (const line of readFileSync(0, "utf-8").split("\n").filter(Boolean)) {
  const one = JSON.parse(line);
  const reply = { name: one.name };
  try {
    reply.text = encode(gray(one), one.profile);
  } catch (error) {
    if (!(error instanceof Unsupported)) throw error;
    reply.refused = error.message;
  }
  console.log(JSON.stringify(reply));
}
