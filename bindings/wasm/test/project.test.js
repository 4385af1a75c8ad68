// The package as a project has it: packed, installed, imported by its name, its types compiled.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { nativeHashes, withModel } from "./native.js";

const packed = fileURLToPath(new URL("../dist/package/", import.meta.url));
const compiler = fileURLToPath(new URL("node_modules/typescript/bin/tsc", import.meta.url));

// In TypeScript, so that it is also what index.d.ts allows.
const PROGRAM = `
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { load, type Model, type Picture } from "driftlet";

const model: Model = await load(await readFile(process.argv[2]!), { onProgress: (done, total) => void (done / total) });
const picture: Picture = await model.generate({ seed: 7n, class: model.classNames[0]!, guidance: model.guidance.min });
await model.generate({ seed: 1, towards: 2, position: 0.5, class: 3 });
// @ts-expect-error: seeds are numbers.
await model.generate({ seed: "7" }).catch(() => {});
console.log(createHash("sha256").update(picture.pixels).digest("hex"));
model.close();
`;
// As much of Node.js as the program uses.
const NODE = `
declare module "node:crypto" {
  export function createHash(name: string): { update(bytes: Uint8Array): { digest(form: "hex"): string } };
}
declare module "node:fs/promises" { export function readFile(path: string): Promise<Uint8Array>; }
declare const process: { argv: string[] };
`;

test("a project in TypeScript installs the tarball and makes a picture", () =>
  withModel("nano", (model) => {
    const project = mkdtempSync(join(tmpdir(), "driftlet-project-"));
    const run = (program, ...options) => execFileSync(program, options, { cwd: project, encoding: "utf8", stdio: "pipe" });
    try {
      const tarball = run("npm", "pack", "--silent", packed).trim();
      writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
      run("npm", "install", "--silent", "--offline", "--no-audit", "--no-fund", `./${tarball}`);
      writeFileSync(join(project, "first.ts"), PROGRAM);
      writeFileSync(join(project, "node.d.ts"), NODE);
      const checks = ["--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--target", "es2022"];
      run(process.execPath, compiler, ...checks, "--module", "nodenext", "first.ts", "node.d.ts");
      assert.deepEqual(run(process.execPath, "first.js", model).trim(), nativeHashes(model, 7, 1, 1)[0]);
    } finally {
      rmSync(project, { recursive: true });
    }
  }));
