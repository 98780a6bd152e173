/** tus-js-client in Chromium, in a page of another origin, over a line that breaks; the event stream beside it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { MB, browser, file, folder, serve, until } from "./support.js";
import { HEADS, assertDone, assertHonest, followers, idOf } from "./support/follow.js";
import { line } from "./support/line.js";
import { site } from "./support/site.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

/** A server that takes uploads from a site, a page of that site with a file chosen, and who follows its uploads. */
async function stage(t, size = 4 * MB) {
  const page = await site(t, "./tus.page.js");
  const server = await serve(t, "--allow-origin", page.origin);
  const context = await chrome.newContext();
  t.after(() => context.close());
  const stand = { server, line: await line(t, server), sent: file(folder(t), "paella.bin", size), seen: followers(t, server) };
  const tab = await context.newPage();
  await tab.exposeFunction("before", async (url) => { if (idOf(url)) await stand.seen.before(url); });
  await tab.goto(page.url);
  await choose(tab, stand.sent);
  return { ...stand, tab };
}

/** Chooses the file in a page that has just been loaded. */
async function choose(tab, sent) {
  await tab.waitForFunction(() => window.ready);
  await tab.setInputFiles("#file", sent.path);
}

/** Starts an upload in the page. */
function send({ tab, line }, options, streamed) {
  return tab.evaluate(([options, streamed]) => {
    window.upload(options, streamed);
    window.current.start();
  }, [{ endpoint: `${line.url}files/`, ...options }, streamed]);
}

/** Starts an upload in the page, to be held when about `bytes` have come; gives its stream. */
async function sendUntil(stand, bytes, options, streamed) {
  stand.line.allow(bytes);
  await send(stand, options, streamed);
  const [stream] = await stand.seen.first();
  await stream.receives(bytes - HEADS);
  return stream;
}

/** Lets what was broken off go on, far enough to be seen to, and then to its end. */
async function goOn({ tab, line }, stream, go) {
  await stream.goesOn(line, go);
  line.flow();
  assert.equal(await tab.evaluate(() => window.ended), "done");
  await stream.becomes("done");
}

const requests = (tab) => tab.evaluate(() => window.requests);

test("a page of another origin sends a file by tus, and reads all that the answers say", async (t) => {
  const stand = await stage(t);
  const stream = await sendUntil(stand, 1 * MB);
  for (let mark = 2 * MB; mark < 4 * MB; mark += 1 * MB) {
    stand.line.allow(1 * MB);
    await stream.receives(mark - HEADS);
  }
  stand.line.flow();
  assert.equal(await stand.tab.evaluate(() => window.ended), "done");
  await stream.becomes("done");
  assert.deepEqual(stream.states(), ["starting", "uploading", "done"]);
  assertDone(stream.records, 4 * MB);
  assert.deepEqual((await requests(stand.tab)).map(({ method, status, offset, version }) => [method, status, offset, version]),
    [["POST", 201, "0", "1.0.0"], ["PATCH", 204, String(4 * MB), "1.0.0"]]);
  assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
  assert.deepEqual(stand.server.stored(), ["paella.bin"]);
});

test("the guide's page sends and goes on as it is written there", async (t) => {
  const guide = readFileSync(new URL("../../docs/resumable.md", import.meta.url), "utf8");
  const code = /^```js\n(.*?)^```$/ms.exec(guide)[1];
  assert.ok(code.includes("http://127.0.0.1:7070/"));
  const stand = await stage(t);
  const run = () => stand.tab.evaluate((code) => {
    window.ended = new Promise((resolve) => {
      const shown = [];
      const show = (what) => shown.push(what) && typeof what === "string" && resolve(shown);
      const [file] = document.getElementById("file").files;
      new (async () => {}).constructor("tus", "file", "show", code)(window.tus, file, show);
    });
  }, code.replace("http://127.0.0.1:7070/", stand.line.url));
  const watch = () => fetch(`${stand.server.url}uploads?X-Progress-ID=42`).then((answer) => answer.json());
  stand.line.allow(2 * MB);
  await run();
  await until(watch, ([record]) => record?.received > 2 * MB - HEADS);
  await stand.tab.reload();
  await until(watch, ([record]) => record.state === "interrupted");
  await choose(stand.tab, stand.sent);
  stand.line.flow();
  await run();
  const shown = await stand.tab.evaluate(() => window.ended);
  assert.equal(shown.pop(), "done");
  assert.ok(shown[0] > 40 && shown.at(-1) === 100 && shown.every((percent, i) => i === 0 || percent >= shown[i - 1]), `${shown}`);
  assert.equal((await watch())[0].state, "done");
  assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
});

test("in a page, a line that breaks costs nothing that has come", async (t) => {
  const stand = await stage(t);
  const stream = await sendUntil(stand, 2.5 * MB);
  stand.line.cut();
  const { offset } = await stream.becomes("interrupted");
  assert.ok(offset > 2.5 * MB - HEADS, `only ${offset} are kept`);
  await goOn(stand, stream);
  const [head, patch] = (await requests(stand.tab)).slice(-2);
  assert.deepEqual([head.method, Number(head.offset), patch.method, Number(patch.from)], ["HEAD", offset, "PATCH", offset]);
  assert.deepEqual(stream.states(), ["starting", "uploading", "interrupted", "uploading", "done"]);
  assertDone(stream.records, 4 * MB);
  assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
});

test("after the page is loaded anew and the file chosen again, its upload goes on where it stood", async (t) => {
  const stand = await stage(t);
  const stream = await sendUntil(stand, 2.5 * MB);
  await stand.tab.reload();
  const { offset } = await stream.becomes("interrupted");
  await choose(stand.tab, stand.sent);
  await goOn(stand, stream, () => stand.tab.evaluate(async (endpoint) => {
    window.upload({ endpoint, removeFingerprintOnSuccess: true });
    const [known] = await window.current.findPreviousUploads();
    window.current.resumeFromPreviousUpload(known);
    window.current.start();
  }, `${stand.line.url}files/`));
  assert.deepEqual((await requests(stand.tab)).map(({ method }) => method), ["HEAD", "PATCH"]);
  assert.equal(Number((await requests(stand.tab))[0].offset), offset);
  assertDone(stream.records, 4 * MB);
  assert.equal(stand.seen.count(), 1);
  assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
  assert.equal(await stand.tab.evaluate(() => localStorage.length), 0);
});

test("in a page, parallel parts are uploads of their own until the final one joins them", async (t) => {
  const stand = await stage(t, 6 * MB);
  stand.line.each(1 * MB);
  await send(stand, { parallelUploads: 3 });
  const parts = await stand.seen.first(3);
  for (const part of parts) await part.receives(1 * MB - HEADS);
  stand.line.cut();
  for (const part of parts) await part.becomes("interrupted");
  stand.line.flow();
  assert.equal(await stand.tab.evaluate(() => window.ended), "done");
  for (const part of parts) {
    await part.becomes("done");
    assertDone(part.records, 2 * MB);
  }
  const whole = await stand.seen.before(await stand.tab.evaluate(() => window.current.url));
  await whole.becomes("done");
  assertDone(whole.records, 6 * MB);
  assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
});

test("parallel parts go on after the page is loaded anew, and one that was complete is not sent again", async (t) => {
  const stand = await stage(t, 6 * MB);
  const bounds = [0, 1, 3, 6].map((at) => at * MB);
  const options = { parallelUploads: 3, parallelUploadBoundaries: [0, 1, 2].map((i) => ({ start: bounds[i], end: bounds[i + 1] })) };
  stand.line.each(1.5 * MB);
  await send(stand, options);
  const parts = await stand.seen.first(3);
  const [short, ...long] = [1, 2, 3].map((size) => parts.find(({ last }) => last.length === size * MB));
  await short.becomes("done");
  // The browser may send one of them over the connection that has carried the short one.
  for (const part of long) await part.receives(0.5 * MB - HEADS);
  stand.line.allow(0);
  await stand.tab.reload();
  for (const part of long) await part.becomes("interrupted");
  await choose(stand.tab, stand.sent);
  stand.line.flow();
  await stand.tab.evaluate(async (options) => {
    window.upload(options);
    window.current.resumeFromPreviousUpload((await window.current.findPreviousUploads())[0]);
    window.current.start();
  }, { endpoint: `${stand.line.url}files/`, ...options });
  assert.equal(await stand.tab.evaluate(() => window.ended), "done");
  for (const part of long) await part.becomes("done");
  assert.deepEqual((await requests(stand.tab)).map(({ method }) => method).sort(), ["HEAD", "HEAD", "HEAD", "PATCH", "PATCH", "POST"]);
  assertDone(long[1].records, 3 * MB);
  assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
  assert.deepEqual(stand.server.stored().filter((name) => name === "paella.bin"), ["paella.bin"]);
});

test("in a page, a stream whose length nobody knows goes up and ends with its length told", async (t) => {
  const stand = await stage(t);
  const stream = await sendUntil(stand, 2.5 * MB, { uploadLengthDeferred: true, chunkSize: 1 * MB }, true);
  assert.ok(stream.records.every(({ length }) => length === null));
  stand.line.cut();
  await stream.becomes("interrupted");
  await goOn(stand, stream);
  assertDone(stream.records, 4 * MB);
  assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
});

test("terminated from a page, an upload is gone, and nothing of it is left", async (t) => {
  const stand = await stage(t);
  const stream = await sendUntil(stand, 2 * MB);
  const terminated = stand.tab.evaluate(() => window.current.abort(true));
  await stream.becomes("interrupted");
  stand.line.flow();
  await terminated;
  const { error } = await stream.becomes("error");
  assert.equal(error.code, "cancelled");
  assertHonest(stream.records);
  assert.equal((await requests(stand.tab)).at(-1).status, 204);
  await until(stand.server.stored, (names) => names.length === 0);
});

test("a page can read why it is refused, and follows its upload by an EventSource of its own", async (t) => {
  const stand = await stage(t);
  const stream = await sendUntil(stand, 2 * MB);
  const [first, gone] = await stand.tab.evaluate(async (base) => {
    const source = new EventSource(`${base}uploads/${new URL(window.current.url).pathname.split("/").at(-1)}`);
    const record = await new Promise((resolve) => { source.onmessage = ({ data }) => resolve(JSON.parse(data)); });
    source.close();
    const refused = await fetch(`${base}files/${"0".repeat(32)}`, { method: "PATCH", body: "x",
      headers: { "Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream" } });
    return [record, [refused.status, refused.headers.get("Tus-Resumable")]];
  }, stand.server.url);
  assert.equal(first.state, "uploading");
  assert.ok(first.received > 2 * MB - HEADS);
  assert.deepEqual(gone, [404, "1.0.0"]);
  stand.line.flow();
  assert.equal(await stand.tab.evaluate(() => window.ended), "done");
  await stream.becomes("done");
});
