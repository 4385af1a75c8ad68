// The page: what the controls say goes to the model, what it makes goes to the canvases.
import { load } from "./driftlet/index.js";
import { wayBetween } from "./way.js";

const COUNT = 24;
const $ = (id) => document.getElementById(id);
const form = $("controls");

let model;
let names = [];
// Each change of the controls starts a new round; an older one then stops.
let round = 0;

async function sha256(bytes) {
  if (!crypto.subtle) return "only on secure pages";
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const kilobytes = (bytes) => `${(bytes / 1000).toLocaleString("en", { maximumFractionDigits: 1 })} kB`;
const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

function tell(problem) {
  $("problem").textContent = problem?.message ?? "";
  $("problem").hidden = !problem;
}

function showProgress(done, total) {
  $("progress").max = total || 1;
  $("progress").value = done;
}

async function open(file) {
  const mine = ++round;
  $("loading").hidden = false;
  tell();
  try {
    const next = await load(`models/${file}`, { onProgress: showProgress });
    if (mine !== round) return next.close();
    model?.close();
    model = next;
  } catch (error) {
    return tell(error);
  } finally {
    if (mine === round) $("loading").hidden = true;
  }
  describe();
  await draw();
}

function describe() {
  $("bytes").textContent = `${kilobytes(model.bytes)}, ${model.precision}`;
  $("arena").textContent = kilobytes(model.arena);
  $("kernels").textContent = model.kernels;
  $("model-hash").textContent = model.sha256 ?? "only on secure pages";
  Object.assign($("guidance"), { min: model.guidance.min, max: model.guidance.max });
  if (names.join() === model.classNames.join()) return;
  names = model.classNames;
  const chips = ["all", ...names].map((name, index) => {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "class", value: index - 1 });
    input.checked = index === 0;
    label.append(input, Object.assign(document.createElement("span"), { textContent: name }));
    return label;
  });
  $("classes").replaceChildren(...chips);
}

/** The requests of all pictures that the controls ask for. */
function requests() {
  const chosen = Number(form.elements.class.value);
  const first = BigInt($("seed").value);
  return Array.from({ length: COUNT }, (_, index) => ({
    seed: BigInt.asUintN(64, first + BigInt(index)),
    class: chosen < 0 ? index % Math.max(names.length, 1) : chosen,
    guidance: Number($("guidance").value),
  }));
}

async function draw() {
  const seed = $("seed");
  const valid = /^[0-9]{1,20}$/.test(seed.value) && BigInt(seed.value) < 1n << 64n;
  seed.setCustomValidity(valid ? "" : "A whole number below 2 to the 64th");
  if (!seed.reportValidity() || !model) return;
  $("guidance-value").textContent = Number($("guidance").value).toFixed(2);
  const mine = ++round;
  const wanted = requests();
  const times = [];
  try {
    for (const [index, request] of wanted.entries()) {
      const picture = await model.generate(request);
      if (mine !== round) return;
      times.push(picture.milliseconds);
      show(index, request, picture);
      if (index === 0) $("picture-hash").textContent = await sha256(picture.pixels);
    }
  } catch (error) {
    return tell(error);
  }
  $("time").textContent = `${median(times).toFixed(2)} ms`;
  $("said").textContent = `${COUNT} pictures made, ${median(times).toFixed(2)} milliseconds each`;
  document.body.dataset.drawn = mine;
  way.follow(model, wanted);
}

function show(index, request, picture) {
  const item = $("pictures").children[index] ?? $("pictures").appendChild(cell(index));
  const button = item.firstChild;
  button.setAttribute("aria-label", `${names[request.class] ?? "picture"}, seed ${request.seed}`);
  paint(button.firstChild, picture);
}

function cell(index) {
  const item = document.createElement("li");
  const button = Object.assign(document.createElement("button"), { type: "button" });
  button.setAttribute("aria-pressed", "false");
  button.append(document.createElement("canvas"));
  button.addEventListener("click", () => way.choose(index));
  item.append(button);
  return item;
}

function paint(canvas, picture) {
  Object.assign(canvas, { width: picture.width, height: picture.height });
  canvas.getContext("2d").putImageData(picture.toImageData(), 0, 0);
}

const way = wayBetween({ $, paint, tell });

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", (event) => {
  if (event.target.id === "model") open(event.target.value);
  else draw();
});
$("random").addEventListener("click", () => {
  $("seed").value = crypto.getRandomValues(new Uint32Array(1))[0];
  draw();
});

const models = await (await fetch("models/models.json")).json();
$("model").replaceChildren(...models.map(({ file, title }) => new Option(title, file)));
await open(models[0].file);
if ("serviceWorker" in navigator) await navigator.serviceWorker.register("offline.js");
