/** Uppy with @uppy/tus in Chromium, in a page of another origin, over a line that breaks; the event streams beside it. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MB, browser, file, folder, serve, until } from "./support.js";
import { HEADS, assertDone, assertHonest, follow, followers, idOf } from "./support/follow.js";
import { line } from "./support/line.js";
import { site } from "./support/site.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

/** A server that takes uploads from a site, a page of that site with Uppy in it, and who follows its uploads. */
async function stage(t, names) {
  const page = await site(t, "./uppy.page.js");
  const server = await serve(t, "--allow-origin", page.origin);
  const context = await chrome.newContext();
  t.after(() => context.close());
  const dir = folder(t);
  const stand = { server, line: await line(t, server), sent: names.map((name) => file(dir, name, 4 * MB)), seen: followers(t, server) };
  const tab = await context.newPage();
  await tab.exposeFunction("before", async (url) => { if (idOf(url)) await stand.seen.before(url); });
  await tab.goto(page.url);
  return { ...stand, tab };
}

/** Lets Uppy send a file, to be held when about `bytes` have come; gives its stream. */
async function sendUntil(stand, bytes) {
  stand.line.allow(bytes);
  await send(stand);
  const [stream] = await stand.seen.first();
  await stream.receives(bytes - HEADS);
  return stream;
}

/** Chooses the files in a page that has just been loaded, and sends them. */
async function send({ tab, line, sent }) {
  await tab.waitForFunction(() => window.ready);
  await tab.setInputFiles("#file", sent.map(({ path }) => path));
  await tab.evaluate((endpoint) => {
    window.begin(endpoint);
    window.send();
  }, `${line.url}files/`);
}

/** Lets what was broken off go on, far enough to be seen to, and then to its end. */
async function goOn({ tab, line, sent, server }, stream, go) {
  await stream.goesOn(line, go);
  line.flow();
  await ended(tab, sent.length);
  const last = await stream.becomes("done");
  assert.equal(last.fields.dish, "12");
  for (const { name, bytes } of sent) assert.ok(server.read(name).equals(bytes));
}

const ended = async (tab, count) => assert.deepEqual(await tab.evaluate(() => window.ended), [count, 0]);
const requests = (tab) => tab.evaluate(() => window.requests);

test("Uppy sends several files, each with a stream that rises to done", async (t) => {
  const names = ["paella.bin", "soup.bin", "salad.bin"];
  const stand = await stage(t, names);
  stand.line.each(2 * MB);
  await send(stand);
  const streams = await stand.seen.first(3);
  for (const stream of streams) await stream.receives(2 * MB - HEADS);
  stand.line.flow();
  await ended(stand.tab, 3);
  for (const stream of streams) {
    await stream.becomes("done");
    assertDone(stream.records, 4 * MB);
  }
  assert.deepEqual(streams.map(({ last }) => last.files[0].name).sort(), [...names].sort());
  for (const { name, bytes } of stand.sent) assert.ok(stand.server.read(name).equals(bytes));
  assert.deepEqual(stand.server.stored(), [...names].sort());
});

test("when the line breaks, Uppy goes on by itself where the upload stood", async (t) => {
  const stand = await stage(t, ["paella.bin"]);
  const stream = await sendUntil(stand, 2.5 * MB);
  stand.line.cut();
  const { offset } = await stream.becomes("interrupted");
  assert.ok(offset > 2.5 * MB - HEADS, `only ${offset} are kept`);
  await goOn(stand, stream);
  const [head, patch] = (await requests(stand.tab)).slice(-2);
  assert.deepEqual([head.method, Number(head.offset), Number(patch.from)], ["HEAD", offset, offset]);
  assert.deepEqual(stream.states(), ["starting", "uploading", "interrupted", "uploading", "done"]);
  assertDone(stream.records, 4 * MB);
});

test("when the server is killed, Uppy goes on against the next one", async (t) => {
  const stand = await stage(t, ["paella.bin"]);
  const before = await sendUntil(stand, 2.5 * MB);
  await before.keeps(2.5 * MB - HEADS);
  stand.line.block();
  await stand.server.kill();
  const server = await stand.server.again();
  const stream = await follow(t, server, before.id);
  const [{ state, offset }] = stream.records;
  assert.equal(state, "interrupted");
  await goOn({ ...stand, server }, stream, () => stand.line.lead(server));
  assert.equal(Number((await requests(stand.tab)).at(-1).from), offset);
  assertHonest(before.records);
  assertDone(stream.records, 4 * MB);
});

test("paused in Uppy an upload is interrupted, and resumed there it goes on", async (t) => {
  const stand = await stage(t, ["paella.bin"]);
  const stream = await sendUntil(stand, 2.5 * MB);
  await stand.tab.evaluate(() => window.uppy.pauseAll());
  const { offset } = await stream.becomes("interrupted");
  assert.ok(offset > 2.5 * MB - HEADS, `only ${offset} are kept`);
  await goOn(stand, stream, () => stand.tab.evaluate(() => window.uppy.resumeAll()));
  assertDone(stream.records, 4 * MB);
});

test("after the page is loaded anew, Uppy finds the upload of the same file and goes on with it", async (t) => {
  const stand = await stage(t, ["paella.bin"]);
  const stream = await sendUntil(stand, 2.5 * MB);
  await stand.tab.reload();
  const { offset } = await stream.becomes("interrupted");
  await goOn(stand, stream, () => send(stand));
  assert.deepEqual((await requests(stand.tab)).map(({ method }) => method), ["HEAD", "PATCH"]);
  assert.equal(Number((await requests(stand.tab))[1].from), offset);
  assert.equal(stand.seen.count(), 1);
  assertDone(stream.records, 4 * MB);
});

test("cancelled in Uppy, an upload is terminated here too, and nothing of it is left", async (t) => {
  const stand = await stage(t, ["paella.bin"]);
  const stream = await sendUntil(stand, 2 * MB);
  await stand.tab.evaluate(() => window.uppy.cancelAll());
  await stream.becomes("interrupted");
  stand.line.flow();
  const { error } = await stream.becomes("error");
  assert.equal(error.code, "cancelled");
  assertHonest(stream.records);
  await until(() => requests(stand.tab), (all) => all.at(-1).method === "DELETE" && all.at(-1).status === 204);
  await until(stand.server.stored, (names) => names.length === 0);
});
