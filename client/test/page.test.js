/** The page in Chromium against the real binary: files go up, bars tell the truth. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MB, browser, file, folder, open, row, rowIs, serve, slow, until, watch, words } from "./support.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

test("a chosen file's bar rises between 0 and 100, is 100 only at the end, and the stored bytes are the file's", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  const paella = file(folder(t), "paella.jpg", 12 * MB);
  await slow(page, 2 * MB);
  const seen = await watch(page);
  await page.setInputFiles("#file", paella.path);
  await page.waitForFunction(() => /^[1-9]\d? % · 1 file$/.test(document.title));
  await until(() => words(page, "paella.jpg"), (text) => /^\d+(\.\d)? (bytes|[kM]B) of 12 MB · \d+(\.\d)? [kM]B\/s/.test(text));
  await rowIs(page, "paella.jpg", "done");
  const { bars, spoken, alerts } = await seen();
  const steps = bars["paella.jpg"];
  assert.ok(new Set(steps.map((step) => step.kept).filter((kept) => kept > 0 && kept < 100)).size >= 5, "the bar hardly moved");
  for (const [i, step] of steps.entries()) {
    assert.ok(i === 0 || step.kept >= steps[i - 1].kept, "the bar fell");
    assert.ok(step.sent >= step.kept, "the trail is behind the bar");
    assert.equal(step.percent === 100, step.done, "100 is for what has arrived");
  }
  assert.ok(server.read("paella.jpg").equals(paella.bytes));
  assert.equal(await page.locator("#total .words").innerText(), "1 file has arrived. You can close this page.");
  assert.equal(await page.title(), "✓ 1 file · Dumbwaiter");
  assert.deepEqual([spoken[0], spoken.at(-1)], ["Sending 1 file.", "1 file has arrived. You can close this page."]);
  assert.ok(spoken.length <= 6);
  assert.deepEqual(alerts, []);
});

test("a finished row links to its file", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  const sent = file(folder(t), "notes.txt", 1000);
  await page.setInputFiles("#file", sent.path);
  await rowIs(page, "notes.txt", "done");
  const link = page.getByRole("link", { name: "Open notes.txt" });
  const answer = await page.request.get(new URL(await link.getAttribute("href"), server.url).href);
  assert.ok((await answer.body()).equals(sent.bytes));
});

test("five files go up, three at once, and all arrive under one sentence", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  const dir = folder(t);
  const files = ["a", "b", "c", "d", "e"].map((stem) => file(dir, `${stem}.bin`, 2 * MB));
  await slow(page, 3 * MB);
  await page.setInputFiles("#file", files.map((one) => one.path));
  assert.match(await words(page, "d.bin"), /^○ Waiting · 2\.0 MB$/);
  await until(() => page.locator(".row.uploading, .row.processing").count(), (count) => count === 3);
  await until(() => page.locator(".row.done").count(), (count) => count >= 1);
  assert.ok((await page.locator(".row.uploading, .row.processing").count()) <= 3);
  await until(() => page.locator("#total .words").innerText(), (text) => text === "5 files have arrived. You can close this page.");
  for (const one of files) assert.ok(server.read(one.name).equals(one.bytes));
});

test("dropped files go up, wherever on the page they fall", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  for (const [name, target] of [["on.txt", "#drop"], ["beside.txt", "h1"]]) {
    const dataTransfer = await page.evaluateHandle((name) => {
      const data = new DataTransfer();
      data.items.add(new File(["dropped"], name));
      return data;
    }, name);
    await page.dispatchEvent(target, "dragover", { dataTransfer });
    assert.equal(await page.locator("#drop.over").count(), 1);
    await page.dispatchEvent(target, "drop", { dataTransfer });
    assert.equal(await page.locator("#drop.over").count(), 0);
    await rowIs(page, name, "done");
  }
  assert.deepEqual(server.stored(), ["beside.txt", "on.txt"]);
});

test("a Japanese name and an empty file arrive as they are", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  const dir = folder(t);
  const dish = file(dir, "料理の写真.jpg", 3000);
  const empty = file(dir, "empty", 0);
  await page.setInputFiles("#file", [dish.path, empty.path]);
  await rowIs(page, dish.name, "done");
  await rowIs(page, empty.name, "done");
  assert.equal(await words(page, dish.name), "✓ Arrived · 3.0 kB");
  assert.equal(await words(page, empty.name), "✓ Arrived · 0 bytes");
  assert.ok(await row(page, dish.name).locator(".thumb").isVisible());
  assert.ok(await row(page, empty.name).locator(".thumb").isHidden(), "a square with nothing in it");
  assert.ok(server.read(dish.name).equals(dish.bytes));
  assert.equal(server.read(empty.name).length, 0);
});

test("the same file twice arrives twice, and the row says under which name", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  const soup = file(folder(t), "soup.txt", 100);
  await page.setInputFiles("#file", soup.path);
  await rowIs(page, "soup.txt", "done");
  await page.setInputFiles("#file", soup.path);
  await until(() => page.locator(".row.done").count(), (count) => count === 2);
  const other = server.stored().find((name) => name !== "soup.txt");
  assert.equal((await page.locator(".row.done .words").nth(1).innerText()).replaceAll("\u00a0", " "), `Arrived as ${other} · 100 bytes`);
  assert.equal(await page.locator(".row.done .words bdi").innerText(), other);
});

test("two tabs send at once and do not mix", async (t) => {
  const server = await serve(t);
  const dir = folder(t);
  const sent = [file(dir, "left.bin", 8 * MB), file(dir, "right.bin", 6 * MB)];
  const first = await open(t, chrome, server.url);
  const second = await first.context().newPage();
  await second.goto(server.url);
  const pages = [first, second];
  for (const page of pages) await slow(page, 2 * MB);
  const seen = await Promise.all(pages.map(watch));
  await Promise.all(pages.map((page, i) => page.setInputFiles("#file", sent[i].path)));
  await Promise.all(pages.map((page, i) => rowIs(page, sent[i].name, "done")));
  for (const [i, { name, bytes }] of sent.entries()) {
    assert.ok(server.read(name).equals(bytes));
    const { bars } = await seen[i]();
    assert.deepEqual(Object.keys(bars), [name]);
    assert.ok(bars[name].some((step) => step.kept > 0 && step.kept < 100), `${name} was not followed`);
  }
});

test("the event stream ends with the upload and nobody asks again", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  await slow(page, 2 * MB);
  await page.setInputFiles("#file", file(folder(t), "once.bin", 2 * MB).path);
  await rowIs(page, "once.bin", "done");
  // Longer than the `retry: 2000` after which an EventSource that did not end comes back.
  await page.waitForTimeout(2600);
  assert.equal(page.streams.length, 1);
});

test("without the event stream the bar shows what was sent, as a trail alone", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  await page.route("**/uploads?*", (route) => route.fulfill({ status: 503 }));
  await slow(page, 2 * MB);
  const seen = await watch(page);
  await page.setInputFiles("#file", file(folder(t), "blind.bin", 12 * MB).path);
  await until(() => words(page, "blind.bin"), (text) => /^\d+(\.\d)? (bytes|[kM]B) of 12 MB sent$/.test(text));
  await page.waitForFunction(() => /^[1-9]\d? % · 1 file$/.test(document.title));
  await rowIs(page, "blind.bin", "done");
  const running = (await seen()).bars["blind.bin"].filter((step) => !step.done);
  assert.ok(running.every((step) => step.kept === 0 || step.kept === 100), "a bar was drawn that nobody vouched for");
  assert.ok(running.some((step) => step.sent > 0 && step.sent < 100));
});

test("the page keeps to its base path", async (t) => {
  const server = await serve(t, "--base", "/in/here");
  assert.match(server.url, /\/in\/here\/$/);
  const page = await open(t, chrome, server.url);
  await page.setInputFiles("#file", file(folder(t), "based.txt", 50).path);
  await rowIs(page, "based.txt", "done");
  const href = await page.getByRole("link", { name: "Open based.txt" }).getAttribute("href");
  assert.equal((await page.request.get(new URL(href, server.url).href)).status(), 200);
  assert.deepEqual(server.stored(), ["based.txt"]);
});

test("a name that is cut keeps its end, and the row its whole name for who cannot see it", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url, { viewport: { width: 360, height: 700 } });
  const name = `${"long ".repeat(20)}dish.jpeg`;
  await page.setInputFiles("#file", file(folder(t), name, 10).path);
  await rowIs(page, name, "done");
  const one = row(page, name);
  assert.equal(await one.locator(".end").innerText(), "ish.jpeg");
  assert.ok(await one.locator(".stem").evaluate((stem) => stem.scrollWidth > stem.clientWidth));
  assert.equal(await one.getByRole("progressbar").getAttribute("aria-label"), name);
});

test("what an earlier visit left unfinished is offered, goes on when its file is chosen again, and can be given up", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  await slow(page, 2 * MB);
  const dir = folder(t);
  const files = ["paella.bin", "soup.bin"].map((name) => file(dir, name, 12 * MB));
  await page.setInputFiles("#file", files.map((one) => one.path));
  for (const { name } of files) await until(() => words(page, name), (text) => /^[1-9]\.\d MB of 12 MB · /.test(text));
  page.on("dialog", (dialog) => dialog.accept());
  await page.getByRole("button", { name: "Pause soup.bin" }).click();
  await page.reload();
  assert.equal(await page.locator(".row.paused").count(), 2);
  for (const { name } of files) assert.match(await words(page, name), /^❙❙ \d+(\.\d)? [kM]B of 12 MB are kept\. Choose the file again to go on\.$/);
  assert.ok(await page.locator("#total").isHidden());
  await page.getByRole("button", { name: "Remove soup.bin" }).click();
  assert.equal(await row(page, "soup.bin").count(), 0);
  assert.equal(await page.evaluate(() => document.activeElement.id), "file");
  const heads = [];
  page.on("request", (request) => request.method() === "PATCH" && heads.push(Number(request.headers()["upload-offset"])));
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.getByRole("button", { name: "Choose paella.bin again" }).click()]);
  await chooser.setFiles(files[0].path);
  await rowIs(page, "paella.bin", "done");
  assert.equal(await page.locator(".row").count(), 1);
  assert.ok(heads[0] > 0.5 * MB && heads.length === 1, `it went on at ${heads}`);
  assert.ok(server.read("paella.bin").equals(files[0].bytes));
  await until(server.stored, (names) => names.length === 1);
  await page.reload();
  assert.equal(await page.locator(".row").count(), 0);
});
