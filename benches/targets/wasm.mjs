// node wasm.mjs SCALAR.wasm SIMD.wasm FILE... prints `FILE  SCALAR_US SIMD_US RATIO`: microseconds per picture. The two builds
// take turns, so that other work on the machine slows both; ratios are medians over the turns.
import { readFileSync } from "node:fs";
import { basename } from "node:path";

const TURNS = 41;
const [scalar, simd, ...files] = process.argv.slice(2);
const builds = await Promise.all([scalar, simd].map(async (path) => {
  const { instance } = await WebAssembly.instantiate(readFileSync(path));
  return instance.exports;
}));
const middle = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

for (const path of files) {
  const bytes = readFileSync(path);
  builds.forEach(({ memory, file }) => new Uint8Array(memory.buffer).set(bytes, file()));
  const make = (build, count) => build.pictures(bytes.length, count);
  // Long enough for the engine's second compiler.
  const results = builds.map((build) => {
    const length = make(build, 50);
    return new Uint8Array(build.memory.buffer, build.picture(), length);
  });
  // Pixels of float models may lie on either side of a half.
  const tolerance = /-f(16|32)\.drift$/.test(path) ? 1 : 0;
  const near = results[0].every((pixel, i) => Math.abs(pixel - results[1][i]) <= tolerance);
  if (results[0].length === 0 || !near) throw new Error(`${path}: refused, or the pictures differ`);
  const turns = [];
  for (let turn = 0; turn < TURNS; turn++) {
    turns.push(builds.map((build) => {
      const count = 20;
      const start = process.hrtime.bigint();
      make(build, count);
      return Number(process.hrtime.bigint() - start) / 1000 / count;
    }));
  }
  const [a, b] = [0, 1].map((i) => middle(turns.map((turn) => turn[i])).toFixed(0));
  console.log(`${basename(path, ".drift").padEnd(14)} ${a.padStart(8)} ${b.padStart(8)} ${middle(turns.map(([a, b]) => a / b)).toFixed(2).padStart(8)}`);
}
