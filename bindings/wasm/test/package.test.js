// The package in Node.js: `node --test`.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { load } from "../dist/package/index.js";
import { nativeHashes, SHIPPED, withModel } from "./native.js";

const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");

for (const name of SHIPPED) {
  test(`ten pictures of ${name} are those of the command line`, () =>
    withModel(name, async (path) => {
      const file = await readFile(path);
      const model = await load(file);
      assert.equal(model.kernels, "simd128");
      assert.equal(model.sha256, hash(file));
      assert.equal(model.bytes, file.length);
      const made = [];
      for (let index = 0; index < 10; index++) {
        const picture = await model.generate({ seed: 70 + index, class: model.classNames[index], guidance: 1.5 });
        assert.deepEqual([picture.width, picture.height, picture.channels], [28, 28, 1]);
        made.push(hash(picture.pixels));
      }
      assert.deepEqual(made, nativeHashes(path, 70, 10, 1.5));
      model.close();
    }));
}

test("the ends of a way are the pictures of the seeds", () =>
  withModel("nano", async (path) => {
    const model = await load(await readFile(path));
    const pixels = async (request) => (await model.generate({ class: 7, ...request })).pixels;
    assert.deepEqual(await pixels({ seed: 1, towards: 2, position: 0 }), await pixels({ seed: 1 }));
    assert.deepEqual(await pixels({ seed: 1, towards: 2n, position: 1 }), await pixels({ seed: 2n }));
    assert.notDeepEqual(await pixels({ seed: 1, towards: 2 }), await pixels({ seed: 1 }));
    const picture = await model.generate({ seed: 1 });
    assert.equal(picture.toRGBA().length, 28 * 28 * 4);
    assert.deepEqual([...picture.toRGBA().slice(0, 4)], [picture.pixels[0], picture.pixels[0], picture.pixels[0], 255]);
  }));

test("what cannot be met says why, and the model still works", () =>
  withModel("nano", async (path) => {
    const model = await load(await readFile(path));
    const rejects = (request, text) => assert.rejects(model.generate(request), { message: text });
    await rejects({ class: "boat" }, /no class "boat"; there are: t-shirt/);
    await rejects({ class: 10 }, /classes 0 to 9/);
    await rejects({ class: -1 }, /whole number/);
    await rejects({ guidance: 9 }, /1 to 4/);
    await rejects({ guidance: NaN }, /1 to 4/);
    await rejects({ seed: -1 }, /64 bits/);
    await rejects({ seed: 1n << 64n }, /64 bits/);
    await rejects({ seed: 0.5 }, /64 bits/);
    await rejects({ seed: 1, towards: 2, position: 1.5 }, /0 to 1/);
    assert.equal((await model.generate({ seed: (1n << 64n) - 1n })).pixels.length, 784);
  }));

test("damaged files are refused", () =>
  withModel("nano", async (path) => {
    const file = await readFile(path);
    await assert.rejects(load(file.subarray(0, 1000)), { message: /length|bytes/ });
    file[file.length - 1] ^= 1;
    await assert.rejects(load(file), { message: /weights are damaged/ });
    await assert.rejects(load(new ArrayBuffer(0)), { name: "Error" });
  }));
