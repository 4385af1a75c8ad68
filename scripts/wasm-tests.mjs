// node wasm-tests.mjs TESTS.wasm runs a program of unit tests (a runner for `cargo test --target wasm32-unknown-unknown`). It has
// nothing to print with: a test that fails stops it, and the trace names the test.
import { readFileSync } from "node:fs";

const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]));
process.exitCode = instance.exports.main(0, 0);
if (process.exitCode === 0) console.log("all unit tests passed");
