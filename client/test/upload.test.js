/** `upload`: a file goes up by form or in a way that can go on, through the real binary, and its record says where it is. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MB, browser, until } from "./support.js";
import { HEADS } from "./support/follow.js";
import { dish, send, stage } from "./support/module.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

/** What is in the store is what was sent, once. */
function assertThere({ server }, ...files) {
  assert.deepEqual(server.stored(), files.map(({ name }) => name).sort());
  for (const { name, bytes } of files) assert.ok(server.read(name).equals(bytes), name);
}

test("a small file goes up as a form, in one request, and the record says where it is", async (t) => {
  const stand = await stage(t, chrome);
  const soup = dish(stand, "soup.txt", 5000);
  const sent = await send(stand, soup);
  const record = await sent.done();
  assert.equal(record.state, "done");
  assert.equal(record.files[0].name, "soup.txt");
  assert.deepEqual(await stand.asked.wire(), ["POST 201"]);
  assert.equal((await sent.look()).percent, 100);
  assertThere(stand, soup);
});

test("a larger file is begun, then sent, and what is kept and what is gone are told while it goes", async (t) => {
  const stand = await stage(t, chrome);
  const paella = dish(stand, "ein Gericht 料理.bin", 8 * MB);
  stand.line.each(3 * MB);
  const sent = await send(stand, paella);
  const held = await sent.receives(3 * MB - HEADS);
  assert.equal(held.state, "uploading");
  assert.ok(held.live && held.resumable);
  assert.ok(held.kept <= held.gone && held.kept < 0.5, JSON.stringify(held));
  stand.line.flow();
  const record = await sent.done();
  assert.deepEqual([record.state, record.received, record.offset], ["done", 8 * MB, 8 * MB]);
  assert.deepEqual(await stand.asked.wire(), ["POST 201", "PATCH 201"]);
  for (const [at, { percent }] of (await sent.changes()).entries()) assert.ok(percent >= ((await sent.changes())[at - 1]?.percent ?? 0));
  assertThere(stand, paella);
});

test("a cut line is taken up where the kept bytes end, by itself, and no byte that is kept is sent again", async (t) => {
  const stand = await stage(t, chrome, { flags: ["--checkpoint-bytes", "512KiB"] });
  const paella = dish(stand, "paella.bin", 8 * MB);
  stand.line.each(4 * MB);
  const sent = await send(stand, paella);
  await sent.keeps(2 * MB);
  stand.line.refuse();
  const broken = await sent.is("interrupted", "connection_lost");
  assert.ok(broken.kept >= 0.25, JSON.stringify(broken));
  stand.line.flow();
  assert.equal((await sent.done()).state, "done");
  const [first, second] = stand.asked.offsets();
  assert.equal(first, 0);
  assert.ok(second >= 2 * MB, `went on at ${second}`);
  assert.equal((await sent.states()).at(-1), "done");
  assertThere(stand, paella);
});

test("while the line stays broken it says so once, however often it is tried", async (t) => {
  const stand = await stage(t, chrome, { flags: ["--checkpoint-bytes", "512KiB"] });
  stand.line.each(4 * MB);
  const sent = await send(stand, dish(stand, "paella.bin", 8 * MB));
  await sent.keeps(2 * MB);
  stand.line.refuse();
  await sent.is("interrupted");
  await until(() => stand.asked.sending().filter(({ method }) => method === "HEAD").length, (tries) => tries >= 3);
  assert.deepEqual((await sent.states()).filter((state) => state !== "waiting"), ["uploading", "interrupted"]);
  stand.line.flow();
  assert.equal((await sent.done()).state, "done");
  assert.deepEqual((await sent.states()).filter((state) => state !== "waiting"), ["uploading", "interrupted", "uploading", "done"]);
});

test("the server is killed in the middle and started again: the upload goes on by itself", async (t) => {
  const stand = await stage(t, chrome, { flags: ["--checkpoint-bytes", "512KiB"] });
  const paella = dish(stand, "paella.bin", 8 * MB);
  stand.line.each(4 * MB);
  const sent = await send(stand, paella);
  await sent.keeps(2 * MB);
  stand.line.refuse();
  await stand.server.kill();
  await sent.is("interrupted");
  const again = await stand.server.again();
  stand.line.lead(again);
  stand.line.flow();
  assert.equal((await sent.done()).state, "done");
  assert.ok(stand.asked.offsets().at(-1) >= 2 * MB);
  await until(() => again.stored().length, (count) => count === 1);
  assertThere({ server: again }, paella);
});
