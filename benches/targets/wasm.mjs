// node wasm.mjs [--operators] SCALAR.wasm SIMD.wasm FILE... prints `FILE  SCALAR_US SIMD_US RATIO`: microseconds per picture, with
// `--operators` also of all operators of a kind. The two builds take turns, so that other work on the machine slows both; ratios
// are medians over the turns.
import { readFileSync } from "node:fs";
import { basename } from "node:path";

const TURNS = 41;
const operators = process.argv[2] === "--operators";
const [scalar, simd, ...files] = process.argv.slice(operators ? 3 : 2);
const builds = await Promise.all([scalar, simd].map(async (path) => {
  // Microseconds of each kind of operator since they were taken.
  let kinds = {};
  const clock = {
    now: () => performance.now() * 1000,
    spent(at, length, microseconds) {
      const kind = new TextDecoder().decode(new Uint8Array(exports.memory.buffer, at, length));
      kinds[kind] = (kinds[kind] ?? 0) + microseconds;
    },
  };
  const { exports } = (await WebAssembly.instantiate(readFileSync(path), { clock })).instance;
  const takeKinds = () => [kinds, kinds = {}][0];
  return { ...exports, takeKinds };
}));
const middle = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
// A line, given microseconds of both builds for each turn.
const line = (name, turns) => {
  const [a, b] = [0, 1].map((i) => middle(turns.map((turn) => turn[i])).toFixed(0).padStart(8));
  console.log(`${name.padEnd(14)} ${a} ${b} ${middle(turns.map(([a, b]) => a / b)).toFixed(2).padStart(8)}`);
};

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
  line(basename(path, ".drift"), turns);
  if (!operators) continue;
  const kinds = [];
  for (let turn = 0; turn < TURNS + 50; turn++) {
    builds.forEach((build) => build.operators(bytes.length));
    kinds.push(builds.map((build) => build.takeKinds()));
  }
  // The first turns are for the engine's second compiler.
  kinds.splice(0, 50);
  for (const kind of Object.keys(kinds[0][0])) line(`  ${kind}`, kinds.map((turn) => turn.map((build) => build[kind])));
}
