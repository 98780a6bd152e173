/**
 * Takes the pictures of the page: `node screenshots.js` makes `docs/page.png`, a real upload under way; with a folder as
 * argument it makes one of each state, light and dark, on a desk and on a phone, to be looked at.
 *
 * The server is the debug binary (`cargo build`), the browser Debian's Chromium; the dishes are drawn.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { dish } from "./test/pictures.js";
import { MB, browser, open, rowIs, serve, serveByName, slow, until, wire, words } from "./test/support.js";

const DISHES = [["paella.jpg", 38, 2400], ["gazpacho.jpg", 8, 3200], ["tortilla.jpg", 48, 2600], ["ensalada.jpg", 95, 3600], ["flan.jpg", 28, 2000]];

/** What the tests' helpers ask of a test: to run something at its end. */
const ends = [];
const t = { after: (act) => ends.unshift(act) };

/** Drawn dishes as files of some megabytes, written into a folder. */
async function dishes(page, dir) {
  const files = [];
  for (const [name, hue, width] of DISHES) {
    const path = join(dir, name);
    writeFileSync(path, await dish(page, { hue, width, height: (width * 3) / 4, bits: 40 }));
    files.push(path);
  }
  return files;
}

/** Several files on their way: some done, some under way, some waiting. */
async function underWay(page, files) {
  await page.setInputFiles("#file", files[0]);
  await rowIs(page, "paella.jpg", "done");
  await slow(page, MB);
  await page.setInputFiles("#file", files.slice(1));
  await until(() => words(page, "gazpacho.jpg"), (text) => /\/s · /.test(text));
  await page.locator(".row.done canvas").waitFor();
  await page.waitForTimeout(1500);
}

async function refused(page, files, dir) {
  await page.setInputFiles("#file", files[0]);
  await rowIs(page, "paella.jpg", "done");
  const [large, text] = [join(dir, "holiday in Valencia, all of it.mov"), join(dir, "notes.mp3")];
  writeFileSync(large, Buffer.alloc(12 * MB));
  writeFileSync(text, "la la la");
  await page.setInputFiles("#file", [large, text, files[0], files[1]]);
  await rowIs(page, "paella.jpg", "error");
  await rowIs(page, "gazpacho.jpg", "done");
  await page.waitForTimeout(600);
}

async function done(page, files) {
  await page.setInputFiles("#file", files);
  await until(() => page.locator(".row.done").count(), (count) => count === files.length);
  await page.waitForTimeout(600);
}

async function trouble(page, files, dir, line) {
  await slow(page, MB);
  await page.setInputFiles("#file", files);
  await until(() => words(page, "paella.jpg"), (text) => /\/s · /.test(text));
  await page.getByRole("button", { name: "Cancel gazpacho.jpg" }).click();
  await page.context().setOffline(true);
  line.cut();
  await rowIs(page, "paella.jpg", "interrupted");
  await page.waitForTimeout(1500);
}

/** What an earlier visit left, beside a file that rests. */
async function rest(page, files) {
  await slow(page, MB / 4);
  await page.setInputFiles("#file", files);
  await until(() => words(page, "paella.jpg"), (text) => /\/s · /.test(text));
  await page.reload();
  await page.setInputFiles("#file", files[1]);
  await until(() => words(page, "gazpacho.jpg"), (text) => /\/s · /.test(text));
  await page.getByRole("button", { name: "Pause gazpacho.jpg" }).click();
  await page.waitForTimeout(1500);
}

const STATES = {
  empty: async () => {},
  over: async (page) => {
    const dataTransfer = await page.evaluateHandle(() => {
      const data = new DataTransfer();
      data.items.add(new File(["x"], "x"));
      return data;
    });
    await page.dispatchEvent("#drop", "dragover", { dataTransfer });
  },
  underWay, refused, done, trouble, rest,
};

const DESK = { viewport: { width: 760, height: 900 }, deviceScaleFactor: 1 };
// Tall enough for all: a picture of a whole page is taken on another screen than the one that is emulated.
const PHONE = { viewport: { width: 360, height: 1000 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
const SCREENS = {
  "desk-light": DESK, "desk-dark": { ...DESK, colorScheme: "dark" },
  "phone-light": PHONE, "phone-dark": { ...PHONE, colorScheme: "dark" },
  forced: { ...DESK, forcedColors: "active" },
};

async function gallery(chrome, files, dir, folder) {
  mkdirSync(folder, { recursive: true });
  for (const [screen, options] of Object.entries(SCREENS)) {
    for (const [state, reach] of Object.entries(STATES)) {
      const flags = state === "refused" ? ["--max-file-size", "10MB", "--allow-type", "image/*,video/*", "--on-conflict", "reject", "--keep", "7d"] : [];
      const server = await serveByName(t, ...flags);
      const line = await wire(t, server);
      const page = await open(t, chrome, line.url, options);
      await reach(page, files, dir, line);
      await page.screenshot({ path: join(folder, `${state}-${screen}.png`) });
      await page.context().close();
    }
    await answers(chrome, files, folder, screen, options);
  }
}

/** The answers to a form without script. */
async function answers(chrome, files, folder, screen, options) {
  const server = await serve(t, "--max-upload-size", "10MB");
  const page = await open(t, chrome, server.url, { ...options, javaScriptEnabled: false });
  await page.screenshot({ path: join(folder, `plain-${screen}.png`) });
  for (const [name, some] of [["arrived", files.slice(0, 2)], ["refused", [...files, ...files]]]) {
    await page.goto(server.url);
    await page.setInputFiles("#file", some);
    await Promise.all([page.waitForURL(/upload$/), page.getByRole("button", { name: "Send" }).click()]);
    await page.screenshot({ path: join(folder, `answer-${name}-${screen}.png`) });
  }
}

const chrome = await browser();
const dir = mkdtempSync(join(tmpdir(), "dumbwaiter-pictures-"));
try {
  const server = await serve(t);
  const page = await open(t, chrome, server.url, { viewport: { width: 720, height: 830 }, deviceScaleFactor: 1.25 });
  const files = await dishes(page, dir);
  if (process.argv[2]) await gallery(chrome, files, dir, process.argv[2]);
  else {
    await underWay(page, files);
    await page.screenshot({ path: fileURLToPath(new URL("../docs/page.png", import.meta.url)) });
  }
} finally {
  for (const end of ends) await end();
  rmSync(dir, { recursive: true, force: true });
  await chrome.close();
}
