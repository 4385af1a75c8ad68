// A generator in a worker: does what `index.js` asks for by messages, so that the page never waits.
import { Engine } from "./engine.js";

let engine;

const actions = {
  async open({ source, vectors }, id) {
    const onProgress = (done, total) => postMessage({ id, progress: [done, total] });
    engine = await Engine.open(source, { onProgress, vectors });
    return engine.about;
  },
  generate: (request) => engine.generate(request),
};

onmessage = async ({ data: { id, action, argument } }) => {
  try {
    const result = await actions[action](argument, id);
    postMessage({ id, result }, result.pixels ? [result.pixels.buffer] : []);
  } catch (error) {
    postMessage({ id, error: { name: error.name, message: error.message } });
  }
};
