// node wasm.mjs RUNNER.wasm PASSES FILE... prints `HASH  NAME KERNELS` for each, as the program itself does on other targets.
import { readFileSync } from "node:fs";
import { basename } from "node:path";

const [program, passes, ...files] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(readFileSync(program));
const { memory, file, hash, name, name_len } = instance.exports;
for (const path of files) {
  const bytes = readFileSync(path);
  new Uint8Array(memory.buffer).set(bytes, file());
  for (let index = 0; name(index) !== 0; index++) {
    const at = hash(index, bytes.length, Number(passes));
    if (at === 0) throw new Error(`${path}: refused`);
    const digest = Buffer.from(memory.buffer, at, 32).toString("hex");
    const kernels = Buffer.from(memory.buffer, name(index), name_len(index)).toString();
    console.log(`${digest}  ${basename(path, ".drift")} ${kernels}`);
  }
}
