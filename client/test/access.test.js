/** Accessible in every state: axe-core finds nothing, light and dark, on a phone and on a desk; keys do everything. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { MB, browser, file, folder, open, row, rowIs, serve, serveByName, slow, until, words } from "./support.js";

const AXE = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const DESK = { viewport: { width: 1000, height: 700 } };
const PHONE = { viewport: { width: 360, height: 720 }, hasTouch: true, isMobile: true };
const SCREENS = Object.entries({ desk: DESK, phone: PHONE })
  .flatMap(([name, screen]) => ["light", "dark"].map((colorScheme) => [`${name}, ${colorScheme}`, { ...screen, colorScheme }]));

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

/** Fails if axe finds anything at all, best practices included. */
async function clean(page, state) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate(() => window.axe.run());
  assert.ok(passes.length > 10, "axe looked at nothing");
  assert.deepEqual(violations.map(({ id, nodes }) => `${state}: ${id} at ${nodes.map(({ html }) => html).join(", ")}`), []);
}

for (const [screen, options] of SCREENS) {
  test(`axe finds nothing: empty, waiting, under way, refused, cancelled, done (${screen})`, async (t) => {
    const server = await serve(t, "--on-conflict", "reject", "--max-file-size", "20MB");
    const page = await open(t, chrome, server.url, options);
    await clean(page, "empty");
    const dir = folder(t);
    await page.setInputFiles("#file", file(dir, "soup.txt", 100).path);
    await rowIs(page, "soup.txt", "done");
    await clean(page, "done");
    await page.setInputFiles("#file", [file(dir, "soup.txt", 100).path, file(dir, "too large.bin", 21 * MB).path]);
    await rowIs(page, "soup.txt", "error");
    await clean(page, "refused");
    await slow(page, MB);
    await page.setInputFiles("#file", ["a", "b", "c", "d", "e"].map((name) => file(dir, name, 10 * MB).path));
    await until(() => words(page, "a"), (text) => / of 10 MB · /.test(text));
    await page.getByRole("button", { name: "Cancel b" }).click();
    assert.equal(await page.locator(".row.waiting").count(), 1);
    await clean(page, "under way");
  });

  test(`axe finds nothing: offline (${screen})`, async (t) => {
    const server = await serveByName(t);
    const page = await open(t, chrome, server.url, options);
    await slow(page, MB);
    await page.setInputFiles("#file", file(folder(t), "a.bin", 10 * MB).path);
    await until(() => words(page, "a.bin"), (text) => / of 10 MB · /.test(text));
    await page.context().setOffline(true);
    await rowIs(page, "a.bin", "interrupted");
    await clean(page, "offline");
  });

  test(`axe finds nothing in the plain form and its answers (${screen})`, async (t) => {
    const server = await serve(t, "--max-upload-size", "1MB");
    const page = await open(t, chrome, server.url, options);
    // Axe is a script; so ours is kept away instead of all.
    await page.route("**/page.js", (route) => route.abort());
    await page.reload();
    await clean(page, "plain");
    const dir = folder(t);
    for (const [name, size, title] of [["fits.bin", 1000, "1 file has arrived"], ["large.bin", 2 * MB, "This did not arrive"]]) {
      await page.goto(server.url);
      await page.setInputFiles("#file", file(dir, name, size).path);
      await page.getByRole("button", { name: "Send" }).click();
      await page.getByRole("heading", { name: title }).waitFor();
      await clean(page, title);
    }
  });
}

test("the answer to a refused form says what happened, what is kept, and what to do", async (t) => {
  const server = await serve(t, "--max-upload-size", "1MB");
  const page = await open(t, chrome, server.url, { javaScriptEnabled: false });
  await page.setInputFiles("#file", file(folder(t), "large.bin", 2 * MB).path);
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("heading", { name: "This did not arrive." }).waitFor();
  // The style sheet gives the code a line of its own.
  await page.waitForLoadState();
  assert.equal(await page.locator(".why").innerText(),
    "This is larger than the 1.0 MB taken here at once. Nothing of it is kept. Choose a smaller one, or send them one by one. upload_too_large".replace(". upload", ".\nupload"));
  await page.getByRole("link", { name: "Back to the form" }).click();
  await page.waitForURL(server.url);
});

test("every control is reached by the Tab key and says what it does to which file", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  await slow(page, MB);
  const dir = folder(t);
  await page.setInputFiles("#file", ["one.bin", "two.bin"].map((name) => file(dir, name, 30 * MB).path));
  await page.locator(".row.uploading").nth(1).waitFor();
  await page.getByRole("button", { name: "Cancel two.bin" }).click();
  await page.locator("#file").focus();
  const reached = [];
  for (let i = 0; i < 4; i++) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent));
  }
  assert.deepEqual(reached, ["Pause one.bin", "Cancel one.bin", "Retry two.bin", "Remove two.bin"]);
});

test("a bar tells its file's name and whole percent, and no value while the server stores", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  await slow(page, MB);
  await page.setInputFiles("#file", file(folder(t), "dish.bin", 6 * MB).path);
  const bar = row(page, "dish.bin").getByRole("progressbar");
  await until(() => bar.getAttribute("aria-valuetext"), (text) => /^\d+ percent, .* left$/.test(text));
  assert.match(await bar.getAttribute("aria-valuenow"), /^\d+$/);
  assert.equal(await bar.getAttribute("aria-label"), "dish.bin");
  assert.equal(await bar.getAttribute("aria-live"), null);
  await rowIs(page, "dish.bin", "done");
  assert.equal(await bar.getAttribute("aria-valuenow"), "100");
});
