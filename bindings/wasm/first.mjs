// node first.mjs FILE.drift: the first picture, as first.pgm.
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { load } from "./dist/package/index.js";

const model = await load(await readFile(process.argv[2]));
const picture = await model.generate({ seed: 7, class: 7 % Math.max(model.classNames.length, 1) });
const { width, height, channels, pixels, milliseconds } = picture;
const kind = channels === 3 ? ["P6", "first.ppm"] : ["P5", "first.pgm"];
await writeFile(kind[1], Buffer.concat([Buffer.from(`${kind[0]} ${width} ${height} 255\n`), pixels]));
console.log(`${kind[1]}: ${width} x ${height}, ${milliseconds.toFixed(2)} ms`);
console.log(`sha256 of the pixels ${createHash("sha256").update(pixels).digest("hex")}`);
model.close();
