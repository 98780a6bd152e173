/** Watching uploads: whoever may see them, from any page, over one connection. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, until } from "./support.js";
import { begin, counted, serveSite, watcher } from "./support/watcher.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

test("a page with sixty watched uploads holds exactly one connection", async (t) => {
  const server = await serveSite(t);
  const line = await counted(t, server);
  const uploads = await Promise.all(Array.from({ length: 60 }, () => begin(server, 1000)));
  const page = await watcher(t, chrome, line.url);
  for (const { id } of uploads) await page.watch(id);
  for (const { id } of uploads) await page.becomes(id, "waiting");
  await Promise.all(uploads.map(({ send }) => send(400)));
  for (const { id } of uploads) await page.becomes(id, { state: "uploading", percent: 40, live: true });
  assert.equal(line.open.size, 1);
  assert.equal(line.streams().length, line.asked.length);
  assert.equal(line.asked.at(-1).path.match(/id=/g).length, 60);
  await Promise.all(uploads.map(({ send }) => send(600)));
  for (const { id } of uploads) await page.becomes(id, "done");
});

test("what is stopped gives its connection back, and is told nothing more", async (t) => {
  const server = await serveSite(t);
  const line = await counted(t, server);
  const { id, send } = await begin(server, 1000);
  const page = await watcher(t, chrome, line.url);
  await page.watch(id);
  await page.becomes(id, "waiting");
  const told = (await page.told()).length;
  await page.evaluate(() => window.stop());
  await until(() => line.open.size, (open) => open === 0);
  await send(1000);
  await page.watch(id);
  await page.becomes(id, "done");
  assert.deepEqual((await page.told()).slice(told).map(([, state]) => state), ["done"]);
});

test("someone else's browser sees by the watch name what the sender's sees by the id", async (t) => {
  const server = await serveSite(t);
  const { id, send, record } = await begin(server, 1000, "paella.jpg");
  const { watch } = await record();
  const [own, other] = [await watcher(t, chrome, server.url), await watcher(t, chrome, server.url)];
  await own.watch(id);
  await other.watch(watch);
  for (const part of [300, 200]) {
    await send(part);
    const received = part === 300 ? 300 : 500;
    await own.becomes(id, { received });
    await other.becomes(watch, { received, state: "uploading", name: "paella.jpg" });
  }
  assert.equal(await own.evaluate((id) => window.progress[id].record.id, id), id);
  assert.equal(await other.evaluate((name) => JSON.stringify(window.progress[name].record), watch).then((text) => text.includes(id)), false);
  await send(500);
  await own.becomes(id, "done");
  await other.becomes(watch, "done");
});

test("one that is not there yet is waited for; one that never comes is gone", async (t) => {
  const server = await serveSite(t, "--watch-wait", "3s");
  const page = await watcher(t, chrome, server.url);
  await page.watch(["X-Progress-ID=later", "0".repeat(32)]);
  await page.waitForRequest(/\/uploads\?/);
  await page.evaluate(() => {
    const form = new FormData();
    form.append("file", new File(["12345"], "a.txt"));
    return fetch("/upload?X-Progress-ID=later", { method: "POST", body: form });
  });
  await page.becomes("X-Progress-ID=later", { state: "done", name: "a.txt" });
  await page.becomes("0".repeat(32), { state: "error", live: false });
  assert.equal(await page.evaluate((id) => window.progress[id].error.code, "0".repeat(32)), "gone");
});

test("two who watch the same are told the same, and one that throws stops nobody", async (t) => {
  const server = await serveSite(t);
  const line = await counted(t, server);
  const { id, send } = await begin(server, 1000);
  const page = await watcher(t, chrome, line.url);
  const thrown = await page.evaluate((id) => {
    window.thrown = [];
    addEventListener("error", (event) => event.preventDefault(window.thrown.push(event.message)));
    window.module.watch(id, () => { throw new Error("a listener's own"); });
    return window.thrown;
  }, id);
  assert.deepEqual(thrown, []);
  await page.waitForFunction(() => window.thrown.length > 0);
  await page.watch(id);
  await page.becomes(id, "waiting");
  assert.equal(line.asked.at(-1).path, `/uploads?id=${id}`);
  await send(1000);
  await page.becomes(id, "done");
  assert.ok(await page.evaluate(() => window.thrown.every((message) => /a listener's own/.test(message)) && window.thrown.length > 1));
});

test("more than one request may name are watched too, and still over one stream", async (t) => {
  const server = await serveSite(t);
  const line = await counted(t, server);
  const uploads = await Promise.all(Array.from({ length: 130 }, () => begin(server, 10)));
  const page = await watcher(t, chrome, line.url);
  await page.watch(uploads.map(({ id }) => id));
  for (const { id } of uploads) await page.becomes(id, { state: "waiting", live: true });
  assert.deepEqual(line.streams().map(({ path }) => path.match(/id=/g).length), [100]);
  await Promise.all(uploads.slice(95).map(({ send }) => send(10)));
  for (const { id } of uploads.slice(95)) await page.becomes(id, "done");
});

test("a name with a line separator in it is a name", async (t) => {
  const server = await serveSite(t);
  const name = "tortilla\u2028de patatas.jpg";
  const { id, send } = await begin(server, 1000, name);
  const page = await watcher(t, chrome, server.url);
  await page.watch(id);
  await send(10);
  await page.becomes(id, { state: "uploading", name });
});
