// The module without vectors. A process loads one module, so this is a file of its own.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { load } from "../dist/package/index.js";
import { nativeHashes, withModel } from "./native.js";

test("without vectors the pictures are the same", () =>
  withModel("nano", async (path) => {
    const model = await load(await readFile(path), { vectors: false });
    assert.equal(model.kernels, "portable");
    const made = [];
    for (let seed = 0; seed < 3; seed++) {
      const { pixels } = await model.generate({ seed, class: seed });
      made.push(createHash("sha256").update(pixels).digest("hex"));
    }
    assert.deepEqual(made, nativeHashes(path, 0, 3, 1));
  }));
