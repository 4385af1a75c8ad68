// node wasm.mjs RUNNER.wasm PASSES FILE... prints `HASH  NAME` for each, as the program itself does on other targets.
import { readFileSync } from "node:fs";
import { basename } from "node:path";

const [program, passes, ...files] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(readFileSync(program));
const { memory, file, hash } = instance.exports;
for (const path of files) {
  const bytes = readFileSync(path);
  new Uint8Array(memory.buffer).set(bytes, file());
  const at = hash(bytes.length, Number(passes));
  if (at === 0) throw new Error(`${path}: refused`);
  console.log(`${Buffer.from(memory.buffer, at, 32).toString("hex")}  ${basename(path, ".drift")}`);
}
