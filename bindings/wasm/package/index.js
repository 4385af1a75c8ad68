// Driftlet: one-step image generators. `index.d.ts` documents every name.
import { Engine } from "./engine.js";

/** A picture: 8-bit pixels, row by row. */
export class Picture {
  constructor(about, { pixels, milliseconds }) {
    this.width = about.width;
    this.height = about.height;
    this.channels = about.channels;
    this.pixels = pixels;
    this.milliseconds = milliseconds;
  }

  toRGBA() {
    const { pixels, channels } = this;
    const rgba = new Uint8ClampedArray((pixels.length / channels) * 4);
    for (let from = 0, to = 0; from < pixels.length; from += channels, to += 4) {
      // One and two channels are grey, four carry more than a colour.
      for (let colour = 0; colour < 3; colour++) rgba[to + colour] = pixels[from + (channels < 3 ? 0 : colour)];
      rgba[to + 3] = 255;
    }
    return rgba;
  }

  toImageData() {
    return new ImageData(this.toRGBA(), this.width, this.height);
  }
}

/** A loaded model. */
export class Model {
  #backend;

  constructor(backend, about) {
    this.#backend = backend;
    Object.assign(this, about);
  }

  async generate(request = {}) {
    return new Picture(this, await this.#backend.generate(request));
  }

  close() {
    this.#backend.close();
  }
}

export async function load(source, options = {}) {
  options.signal?.throwIfAborted();
  const given = source instanceof ArrayBuffer ? new Uint8Array(source) : source;
  const { worker = typeof Worker === "function" } = options;
  if (!worker) {
    const engine = await Engine.open(given, options);
    return new Model(engine, engine.about);
  }
  const remote = new Remote();
  const abort = () => remote.close(options.signal.reason);
  options.signal?.addEventListener("abort", abort, { once: true });
  try {
    // A worker knows its own address only, so a relative one is made whole here.
    const whole = given instanceof Uint8Array ? given : new URL(given, globalThis.location?.href).href;
    const about = await remote.call("open", { source: whole, vectors: options.vectors }, options.onProgress);
    return new Model(remote, about);
  } catch (error) {
    remote.close();
    throw error;
  } finally {
    options.signal?.removeEventListener("abort", abort);
  }
}

/** An `Engine` in a worker. */
class Remote {
  #worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  #waiting = new Map();
  #next = 0;
  #closed = false;

  constructor() {
    this.#worker.onmessage = ({ data: { id, result, error, progress } }) => {
      const call = this.#waiting.get(id);
      if (!call) return;
      if (progress) return call.onProgress?.(...progress);
      this.#waiting.delete(id);
      if (error) call.reject(Object.assign(new Error(error.message), { name: error.name }));
      else call.resolve(result);
    };
    // The script itself could not be loaded.
    this.#worker.onerror = (event) => this.close(new Error(event.message || "the worker could not be started"));
  }

  call(action, argument, onProgress) {
    if (this.#closed) return Promise.reject(new Error("the model is closed"));
    return new Promise((resolve, reject) => {
      this.#waiting.set(this.#next, { resolve, reject, onProgress });
      this.#worker.postMessage({ id: this.#next++, action, argument });
    });
  }

  generate(request) {
    return this.call("generate", request);
  }

  close(reason = new Error("the model was closed")) {
    this.#closed = true;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }
}
