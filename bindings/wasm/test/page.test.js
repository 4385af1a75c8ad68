// The demonstration page in Chromium without a screen. CHROMIUM names the program, SCREENSHOT a file for a picture of the page.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";
import { nativeHashes } from "./native.js";
import { serve } from "./serve.js";

const site = fileURLToPath(new URL("../dist/site/", import.meta.url));
let server, address, browser, page;
const problems = [];

const text = (selector) => page.$eval(selector, (element) => element.textContent);
const rounds = () => page.evaluate(() => document.body.dataset.drawn);
const pixels = (selector) =>
  page.$eval(selector, (canvas) => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]);

/** Does something, and waits until the grid is drawn anew. */
async function redrawn(action) {
  const before = await rounds();
  await action();
  await page.waitForFunction((before) => document.body.dataset.drawn !== before, {}, before);
}

before(async () => {
  ({ server, address } = await serve(site));
  browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu"],
  });
  page = await browser.newPage();
  await page.setViewport({ width: 1180, height: 860, deviceScaleFactor: 1 });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  await page.goto(address);
  await page.waitForFunction(() => document.body.dataset.drawn);
});

after(async () => {
  await browser?.close();
  server?.close();
});

test("the first picture is that of the command line", async () => {
  await redrawn(() => page.$eval("#guidance", (slider) => {
    slider.value = 2;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  }));
  const [expected] = nativeHashes(`${site}/models/nano.drift`, 0, 1, 2);
  assert.equal(await text("#picture-hash"), expected);
  assert.match(await text("#kernels"), /simd128/);
  assert.match(await text("#time"), /^\d+\.\d\d ms$/);
});

test("classes, seeds and models are chosen by clicks and keys", async () => {
  await redrawn(() => page.click("#classes label:nth-child(9)"));
  const labels = await page.$$eval("#pictures button", (all) => all.map((button) => button.getAttribute("aria-label")));
  assert.equal(labels.length, 24);
  assert.equal(labels[2], "sneaker, seed 2");
  // From the chosen class with the arrow key to the next.
  await redrawn(() => page.keyboard.press("ArrowRight"));
  assert.equal(await page.$eval("#pictures button", (button) => button.getAttribute("aria-label")), "bag, seed 0");
  await redrawn(async () => {
    await page.click("#seed", { clickCount: 3 });
    await page.keyboard.type("41");
  });
  await page.waitForFunction(() => document.querySelector("#pictures button").getAttribute("aria-label").endsWith("seed 41"));
  const size = await text("#bytes");
  await redrawn(() => page.select("#model", "micro.drift"));
  assert.notEqual(await text("#bytes"), size);
  await redrawn(() => page.click("#random"));
  assert.match(await page.$eval("#seed", (input) => input.value), /^\d+$/);
});

test("a bad seed is named, and nothing breaks", async () => {
  await page.$eval("#seed", (input) => {
    input.value = "18446744073709551616";
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  assert.equal(await page.$eval("#seed", (input) => input.validationMessage), "A whole number below 2 to the 64th");
  await redrawn(() => page.$eval("#seed", (input) => {
    input.value = "18446744073709551615";
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }));
  assert.match(await page.$eval("#pictures li:nth-child(2) button", (button) => button.getAttribute("aria-label")), /seed 0$/);
});

test("the way from one picture to another plays", async () => {
  await page.click("#pictures li:nth-child(4) button");
  await page.click("#pictures li:nth-child(6) button");
  assert.equal(await page.$$eval("#pictures [aria-pressed=true]", (all) => all.length), 2);
  await page.waitForFunction(() => document.querySelector("#position").value === "0");
  const start = await pixels("#between");
  await page.click("#play");
  await page.waitForFunction(() => Number(document.querySelector("#position").value) > 0.4);
  await page.click("#play");
  assert.notDeepEqual(await pixels("#between"), start);
});

test("it fits a phone", async () => {
  await page.setViewport({ width: 360, height: 740, deviceScaleFactor: 2, isMobile: true });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 360, `${wide} pixels wide`);
  await page.setViewport({ width: 1180, height: 860, deviceScaleFactor: 1 });
});

test("every control has a name", async () => {
  const tree = await page.accessibility.snapshot({ interestingOnly: true });
  const nameless = [];
  const look = (node) => {
    if (["button", "slider", "textbox", "combobox", "radio", "image"].includes(node.role) && !node.name) nameless.push(node);
    node.children?.forEach(look);
  };
  look(tree);
  assert.deepEqual(nameless, []);
});

test("it works without a network after the first visit", async () => {
  await page.evaluate(() => navigator.serviceWorker.ready);
  server.close();
  server.closeAllConnections();
  await page.reload();
  await page.waitForFunction(() => document.body.dataset.drawn);
  await redrawn(() => page.select("#model", "small.drift"));
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT, fullPage: true });
  assert.deepEqual(problems, []);
});
