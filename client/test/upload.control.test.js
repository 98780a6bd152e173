/** Pause, resume, cancel, try again; and who goes first. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MB, browser, until } from "./support.js";
import { HEADS } from "./support/follow.js";
import { dish, following, send, stage } from "./support/module.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

const KEEPS = { flags: ["--checkpoint-bytes", "512KiB"] };

/** What the server knows of an upload; `null` when that is nothing. */
const known = async ({ server }, { id }) => (await (await fetch(`${server.url}uploads?id=${id}`)).json())[0];

test("paused, an upload keeps what the server has, sends nothing more, and goes on from there", async (t) => {
  const stand = await stage(t, chrome, KEEPS);
  const paella = dish(stand, "paella.bin", 6 * MB);
  stand.line.each(3 * MB);
  const sent = await send(stand, paella);
  const { record } = await sent.keeps(2 * MB);
  await sent.pause();
  const paused = await sent.look();
  assert.deepEqual([paused.state, paused.live, paused.resumable], ["paused", false, true]);
  await until(() => known(stand, record), ({ state }) => state === "interrupted");
  const seen = (await sent.changes()).length;
  stand.line.flow();
  assert.equal((await sent.changes()).length, seen);
  await sent.resume();
  assert.equal((await sent.done()).state, "done");
  assert.equal(stand.asked.offsets().length, 2);
  assert.ok(stand.asked.offsets()[1] >= 2 * MB);
  assert.ok(stand.server.read("paella.bin").equals(paella.bytes));
});

test("cancelled, an upload is thrown away on the server, and begins from nothing when tried again", async (t) => {
  const stand = await stage(t, chrome, KEEPS);
  const paella = dish(stand, "paella.bin", 6 * MB);
  stand.line.each(3 * MB);
  const sent = await send(stand, paella);
  const { record } = await sent.keeps(2 * MB);
  await sent.cancel();
  assert.equal(await sent.done(), "cancelled");
  await until(() => known(stand, record), (now) => now === null || now.error?.code === "cancelled");
  await until(stand.server.stored, (names) => names.length === 0);
  const { kept, gone } = await sent.look();
  assert.deepEqual([kept, gone], [0, 0]);
  stand.line.flow();
  await sent.resume();
  assert.equal((await sent.done()).state, "done");
  assert.deepEqual(stand.asked.offsets(), [0, 0]);
  assert.deepEqual(stand.server.stored(), ["paella.bin"]);
});

test("cancelled while it is being begun, nothing of it stays on the server", async (t) => {
  const stand = await stage(t, chrome);
  stand.line.each(0);
  const sent = await send(stand, dish(stand, "paella.bin", 2 * MB));
  await until(() => stand.asked.sending().length, (count) => count === 1);
  await sent.cancel();
  stand.line.flow();
  await until(stand.asked.wire, (wire) => wire.length === 2 && wire.every((line) => !line.endsWith("null")));
  assert.deepEqual(await stand.asked.wire(), ["POST 201", "DELETE 204"]);
  await until(stand.server.stored, (names) => names.length === 0);
});

test("paused and resumed while it is being begun, it is sent once and leaves no other behind", async (t) => {
  const stand = await stage(t, chrome);
  const paella = dish(stand, "paella.bin", 2 * MB);
  stand.line.each(0);
  const sent = await send(stand, paella);
  await until(() => stand.asked.sending().length, (count) => count === 1);
  await sent.pause();
  await sent.resume();
  await sent.resume();
  stand.line.flow();
  assert.equal((await sent.done()).state, "done");
  await until(stand.server.stored, (names) => names.length === 1);
  assert.equal(stand.asked.offsets().length, 1);
});

test("files wait for their turn; one that is paused before it, or in it, lets the next one go", async (t) => {
  const stand = await stage(t, chrome);
  stand.line.each(HEADS);
  const files = ["a.bin", "b.bin", "c.bin", "d.bin"].map((name) => dish(stand, name, 1.5 * MB));
  await stand.page.setInputFiles("#file", files.map(({ path }) => path));
  await stand.page.evaluate(() => { for (const file of document.getElementById("file").files) window.begin(file, { atOnce: 1 }); });
  const [a, b, c, d] = files.map((_, at) => following(stand.page, at));
  await a.is("uploading");
  for (const one of [b, c, d]) assert.equal((await one.look()).state, "waiting");
  await b.pause();
  // Back in the queue, behind the others: its older place is gone, and takes nothing with it.
  await stand.page.evaluate(() => { window.uploads[2].pause(); window.uploads[2].resume(); });
  await a.pause();
  await d.is("uploading");
  assert.equal((await c.look()).state, "waiting");
  stand.line.flow();
  assert.equal((await d.done()).state, "done");
  assert.equal((await c.done()).state, "done");
  assert.equal((await b.look()).state, "paused");
  await b.resume();
  await a.resume();
  await Promise.all([a.done(), b.done()]);
  assert.deepEqual(stand.server.stored(), files.map(({ name }) => name));
});

test("the browser asks before a page is left that still sends, and no more when all is there", async (t) => {
  const stand = await stage(t, chrome);
  const asks = () => stand.page.evaluate(() => !dispatchEvent(new Event("beforeunload", { cancelable: true })));
  assert.equal(await asks(), false);
  stand.line.each(HEADS);
  const sent = await send(stand, dish(stand, "paella.bin", 1.5 * MB));
  await sent.is("uploading");
  assert.equal(await asks(), true);
  await sent.pause();
  assert.equal(await asks(), false);
  await sent.resume();
  stand.line.flow();
  await sent.done();
  assert.equal(await asks(), false);
});

test("offline it waits, says so, and goes on as soon as there is a network", async (t) => {
  const stand = await stage(t, chrome, KEEPS);
  const paella = dish(stand, "paella.bin", 4 * MB);
  stand.line.each(2 * MB);
  const sent = await send(stand, paella);
  await sent.keeps(1 * MB);
  stand.line.refuse();
  await sent.is("interrupted");
  await stand.page.context().setOffline(true);
  stand.line.flow();
  await stand.page.context().setOffline(false);
  assert.equal((await sent.done()).state, "done");
  assert.ok(stand.server.read("paella.bin").equals(paella.bytes));
});

test("a file that changes while it goes up ends with a code that says so, and is not tried for ever", async (t) => {
  const stand = await stage(t, chrome, KEEPS);
  const paella = dish(stand, "paella.bin", 4 * MB);
  stand.line.each(2 * MB);
  const sent = await send(stand, paella);
  await sent.keeps(1 * MB);
  dish(stand, "paella.bin", 3 * MB);
  stand.line.refuse();
  stand.line.flow();
  assert.equal(await sent.done(), "file_unreadable");
});
