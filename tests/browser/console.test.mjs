// The console in a real browser, on the demo: what a person does in the first minute.
//
// EARSHOT_NODE is the program to start; CHROMIUM the browser, /usr/bin/chromium when not set.
// Screenshots go to EARSHOT_SCREENSHOTS where it is set.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import readline from "node:readline";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const PATIENCE_MS = 90_000;
let demo, browser, address;

before(async () => {
  const data = join(await mkdtemp(join(tmpdir(), "earshot-")), "demo");
  demo = spawn(process.env.EARSHOT_NODE, ["demo", "--data", data, "--listen", "127.0.0.1:0"]);
  const lines = readline.createInterface({ input: demo.stdout });
  address = await new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      const said = line.match(/^Earshot is at (\S+)/);
      if (said) resolve(said[1]);
    });
    demo.on("exit", (code) => reject(new Error(`the demo ended with ${code}`)));
  });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
});

after(async () => {
  await browser?.close();
  demo?.kill("SIGTERM");
});

async function open(path, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1000 }, ...options });
  const troubles = [];
  page.on("pageerror", (error) => troubles.push(String(error)));
  page.on("console", (message) => message.type() === "error" && troubles.push(message.text()));
  await page.goto(address + path);
  return { page, troubles };
}

async function picture(page, name) {
  if (process.env.EARSHOT_SCREENSHOTS) {
    await page.screenshot({ path: join(process.env.EARSHOT_SCREENSHOTS, `${name}.png`) });
  }
}

test("within its first minute the demo shows a live alert, and the alert explains itself", async () => {
  const { page, troubles } = await open("/");
  const alert = page.locator("ul.alerts li").filter({ hasText: "Tarnwick Air" });
  const start = Date.now();
  while ((await alert.count()) === 0) {
    assert.ok(Date.now() - start < PATIENCE_MS, "no alert is on the first page");
    await page.waitForTimeout(500);
    await page.reload();
  }
  await picture(page, "console");
  assert.match(await alert.first().innerText(), /mentions between .* expected/s);
  await alert.first().getByRole("link").first().click();
  await page.waitForURL(/\/alerts\//);
  assert.match(await page.locator("main").innerText(), /expected/);
  await picture(page, "alert");
  assert.deepEqual(troubles, []);
});

test("a search marks its words, a filter narrows, and a bar of the timeline is a link", async () => {
  const { page, troubles } = await open("/");
  await page.keyboard.press("/");
  await page.keyboard.type("flight cancelled");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=flight/);
  assert.ok((await page.locator("mark").count()) > 0, "query words are marked");
  await page.selectOption("select[name=sentiment]", "negative");
  await page.waitForURL(/sentiment=negative/);
  await page.goto(address + "/");
  const bars = page.locator("svg a");
  assert.ok((await bars.count()) >= 14, "a fortnight has at least fourteen bars");
  await bars.nth(3).click();
  await page.waitForURL(/from=/);
  assert.deepEqual(troubles, []);
});

test("a query error stands beside the box, and the page stays", async () => {
  const { page } = await open("/?q=%28harbor");
  assert.match(await page.locator("#q-problem").innerText(), /character 8/);
});

test("the page fits a phone, without sideways scrolling, also in the dark", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const { page } = await open("/", { viewport: { width: 390, height: 844 }, colorScheme });
    const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(content <= window, `${content} pixels wide on ${window}`);
    const form = await page.locator("form.search").boundingBox();
    for (const field of await page.locator("form.search select, form.search input:visible").all()) {
      const box = await field.boundingBox();
      assert.ok(box.x + box.width <= form.x + form.width, "a field sticks out of the form");
    }
    await picture(page, `phone-${colorScheme}`);
  }
});
