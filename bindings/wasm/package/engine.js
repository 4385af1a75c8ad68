// The WebAssembly module and one generator in it; runs on the calling thread, of the page or of a worker.
import init, { Generator } from "./driftlet.js";

// The smallest module with an instruction of 128-bit vectors: i8x16.splat.
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
]);

let ready;

/** Loads the module that this engine runs best, once. */
function start(vectors = WebAssembly.validate(SIMD)) {
  ready ??= (async () => {
    const url = new URL(vectors ? "./driftlet-simd128.wasm" : "./driftlet.wasm", import.meta.url);
    if (url.protocol !== "file:") return init({ module_or_path: url });
    // Node.js fetches no files.
    const { readFile } = await import("node:fs/promises");
    return init({ module_or_path: await readFile(url) });
  })();
  return ready;
}

/** Reads a response piece by piece and tells `onProgress(bytes so far, bytes in all or 0)`. */
async function download(url, onProgress, signal) {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error(`${url}: the server answers ${response.status} ${response.statusText}`);
  // Of a compressed answer the header tells another length than that of the file.
  const packed = response.headers.get("content-encoding");
  const total = packed ? 0 : Number(response.headers.get("content-length") ?? 0);
  const parts = [];
  let done = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { value } = await reader.read();
    if (!value) break;
    parts.push(value);
    done += value.length;
    onProgress?.(done, Math.max(total, done));
  }
  const bytes = new Uint8Array(done);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** SHA-256 in hexadecimal digits; null where the page is not secure and the browser offers none. */
async function sha256(bytes) {
  if (!globalThis.crypto?.subtle) return null;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A generator on this thread: what `index.js` offers, without the thread between. */
export class Engine {
  #generator;

  static async open(source, { onProgress, signal, vectors } = {}) {
    await start(vectors);
    const bytes = source instanceof Uint8Array ? source : await download(source, onProgress, signal);
    const engine = new Engine();
    engine.#generator = new Generator(bytes);
    engine.about = await engine.#describe(bytes);
    return engine;
  }

  async #describe(bytes) {
    const { shape, classes, guidance, arena, kernels, metadata } = this.#generator;
    const [height, width, channels] = shape;
    let notes = {};
    try {
      notes = JSON.parse(metadata);
    } catch {
      // Files need not carry any.
    }
    const classNames = Array.from({ length: classes }, (_, index) => String(notes.class_names?.[index] ?? index));
    return {
      name: String(notes.name ?? ""),
      precision: String(notes.precision ?? ""),
      height,
      width,
      channels,
      classNames,
      guidance: { min: guidance[0], max: guidance[1] },
      bytes: bytes.length,
      arena,
      kernels,
      sha256: await sha256(bytes),
    };
  }

  generate({ seed = 0n, towards, position = 0.5, class: label = 0, guidance } = {}) {
    const number = this.#classNumber(label);
    const strength = guidance ?? this.about.guidance.min;
    const started = performance.now();
    const pixels =
      towards === undefined
        ? this.#generator.generate(toSeed(seed), number, strength)
        : this.#generator.between(toSeed(seed), toSeed(towards), position, number, strength);
    return { pixels, milliseconds: performance.now() - started };
  }

  close() {
    this.#generator.free();
  }

  #classNumber(label) {
    if (typeof label !== "string") {
      if (Number.isInteger(label) && label >= 0) return label;
      throw new RangeError(`class ${label} is no whole number from 0`);
    }
    const index = this.about.classNames.indexOf(label);
    if (index < 0) throw new RangeError(`no class "${label}"; there are: ${this.about.classNames.join(", ")}`);
    return index;
  }
}

function toSeed(seed) {
  const whole = typeof seed === "bigint" || Number.isSafeInteger(seed);
  if (!whole || seed < 0 || BigInt(seed) >= 1n << 64n) throw new RangeError(`seed ${seed} is no whole number of 64 bits`);
  return BigInt(seed);
}
