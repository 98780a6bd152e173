/** FilePond in Chromium, in a page of another origin, plain and in chunks, over a line that breaks; the streams beside it. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MB, browser, until } from "./support.js";
import { HEADS, assertDone, assertFormDone, assertHonest, followNamed } from "./support/follow.js";
import { assertStored, send as begin, stage } from "./support/widget.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

const PAGE = "./filepond.page.js";
/** Four chunks: FilePond sends one more, an empty one, since the file ends where a chunk does. */
const CHUNKS = { chunkUploads: true, chunkSize: 1 * MB };
const send = (stand, options = {}) => begin(stand, "filepond", options);
const ended = ({ tab }) => tab.evaluate(() => window.ended);
const ids = ({ tab }) => tab.evaluate(() => window.ids());
const record = async ({ server }, id) => (await fetch(`${server.url}uploads/${id}`)).json();
const shown = ({ tab }) => tab.locator(".filepond--file-status-main");

/** Lets FilePond send, to be held when about `bytes` have come; gives the stream of its first file. */
async function sendUntil(stand, bytes, options) {
  stand.line.allow(bytes);
  await send(stand, options);
  const [stream] = await stand.seen.first();
  await stream.receives(bytes - HEADS);
  return stream;
}

/** Lets what was broken off go on, far enough to be seen to, and then to its end. */
async function goOn(stand, stream, go) {
  await stream.goesOn(stand.line, go);
  stand.line.flow();
  assert.equal(await ended(stand), "done");
  await stream.becomes("done");
}

test("FilePond sends several files by form, each has a stream that rises to done, and an id that it is told", async (t) => {
  const stand = await stage(t, chrome, PAGE, { names: ["paella.bin", "soup.bin", "料理.bin"] });
  stand.line.each(2 * MB);
  await send(stand);
  // FilePond sends two files at once.
  for (const stream of await stand.seen.first(2)) await stream.receives(2 * MB - HEADS);
  stand.line.flow();
  assert.equal(await ended(stand), "done");
  for (const stream of await stand.seen.first(3)) {
    await stream.becomes("done");
    assertFormDone(stream.records, 4 * MB, "filepond");
  }
  assert.deepEqual(await stand.asked.wire(), Array(3).fill("POST 201"));
  const names = await Promise.all((await ids(stand)).map(async (id) => (await record(stand, id)).files[0].name));
  assert.deepEqual(names.sort(), stand.sent.map(({ name }) => name).sort());
  assertStored(stand);
});

test("FilePond sends a file in chunks, an empty one at its end, and it is one upload all along", async (t) => {
  const stand = await stage(t, chrome, PAGE, { names: ["ein Gericht 料理.bin"] });
  const stream = await sendUntil(stand, 1.5 * MB, CHUNKS);
  stand.line.allow(1 * MB);
  await stream.receives(2.5 * MB - 2 * HEADS);
  stand.line.flow();
  assert.equal(await ended(stand), "done");
  await stream.becomes("done");
  assert.deepEqual(stream.states().slice(-2), ["uploading", "done"]);
  assertDone(stream.records, 4 * MB, "filepond");
  assert.deepEqual(await stand.asked.wire(), ["POST 201", ...Array(5).fill("PATCH 204")]);
  const { files: [{ name }], protocol } = await record(stand, (await ids(stand))[0]);
  assert.deepEqual([name, protocol], [stand.sent[0].name, "filepond"]);
  assertStored(stand);
});

test("an empty file goes up in chunks too", async (t) => {
  const stand = await stage(t, chrome, PAGE, { size: 0 });
  await send(stand, { ...CHUNKS, chunkForce: true });
  assert.equal(await ended(stand), "done");
  const [stream] = await stand.seen.first();
  await stream.becomes("done");
  assertDone(stream.records, 0, "filepond");
  assertStored(stand);
});

test("when the line breaks, FilePond sends the broken chunk again by itself, and all before it stays", async (t) => {
  const stand = await stage(t, chrome, PAGE);
  const stream = await sendUntil(stand, 2.5 * MB, CHUNKS);
  stand.line.cut();
  const { offset } = await stream.becomes("interrupted");
  assert.ok(offset >= 2 * MB, `only ${offset} are kept`);
  await goOn(stand, stream);
  assert.deepEqual(stream.states().slice(-4), ["uploading", "interrupted", "uploading", "done"]);
  assertDone(stream.records, 4 * MB, "filepond");
  assertStored(stand);
});

test("when the line breaks, a form of FilePond's ends in an error, and nothing of it is left", async (t) => {
  const stand = await stage(t, chrome, PAGE);
  const stream = await sendUntil(stand, 2 * MB, {});
  stand.line.refuse();
  assert.equal((await stream.becomes("error")).error.code, "client_gone");
  assert.notEqual(await ended(stand), "done");
  assertHonest(stream.records);
  assert.deepEqual(stand.server.stored(), []);
});

test("when the server is killed, FilePond goes on against the next one", async (t) => {
  const stand = await stage(t, chrome, PAGE);
  const before = await sendUntil(stand, 2.5 * MB, CHUNKS);
  await before.keeps(2 * MB);
  stand.line.block();
  await stand.server.kill();
  const server = await stand.server.again();
  const stream = await followNamed(t, server, before.id);
  const { offset } = await stream.becomes("interrupted");
  assert.ok(offset >= 2 * MB, `only ${offset} are kept`);
  await goOn(stand, stream, () => stand.line.lead(server));
  assertHonest(before.records);
  assertDone(stream.records, 4 * MB, "filepond");
  assertStored({ ...stand, server });
});

test("retried by hand, a file in chunks goes on where it stood", async (t) => {
  const stand = await stage(t, chrome, PAGE);
  const stream = await sendUntil(stand, 2.5 * MB, { ...CHUNKS, chunkRetryDelays: [] });
  stand.line.refuse();
  await stream.becomes("interrupted");
  await ended(stand);
  await stream.goesOn(stand.line, () => stand.tab.evaluate(() => { window.pond.processFile(); }));
  stand.line.flow();
  await stream.becomes("done");
  await until(() => stand.asked.wire(), (wire) => wire.at(-1) === "PATCH 204" && wire.includes("HEAD 204"));
  assert.equal((await stand.asked.wire()).filter((line) => line.startsWith("POST")).length, 1);
  assertDone(stream.records, 4 * MB, "filepond");
  assertStored(stand);
});

for (const [way, options, protocol] of [["by form", {}, assertFormDone], ["in chunks", CHUNKS, assertDone]]) {
  test(`what went up ${way} is restored by its id in another page, and undone from there`, async (t) => {
    const stand = await stage(t, chrome, PAGE, { names: ["ein Gericht 料理 100%.bin"], size: 2.5 * MB });
    await send(stand, options);
    assert.equal(await ended(stand), "done");
    const [stream] = await stand.seen.first();
    await stream.becomes("done");
    protocol(stream.records, 2.5 * MB, "filepond");
    const [id] = await ids(stand);
    await stand.tab.reload();
    await stand.tab.waitForFunction(() => window.ready);
    const back = await stand.tab.evaluate(async ([url, id]) => {
      window.begin(url, {});
      const item = await window.pond.addFile(id, { type: "limbo" });
      const bytes = await item.file.arrayBuffer();
      const digest = await crypto.subtle.digest("SHA-256", bytes);
      return { name: item.filename, size: bytes.byteLength, digest: [...new Uint8Array(digest)] };
    }, [`${stand.line.url}filepond`, id]);
    assert.deepEqual([back.name, back.size], [stand.sent[0].name, 2.5 * MB]);
    assert.deepEqual(back.digest, [...await crypto.subtle.digest("SHA-256", stand.sent[0].bytes).then((digest) => new Uint8Array(digest))]);
    assertStored(stand);
    await stand.tab.evaluate(() => window.pond.removeFile({ revert: true }));
    await until(stand.server.stored, (names) => names.length === 0);
  });
}

test("cancelled while it goes up in chunks, a file is taken back, and nothing of it is left", async (t) => {
  const stand = await stage(t, chrome, PAGE);
  const stream = await sendUntil(stand, 2.5 * MB, CHUNKS);
  await stand.tab.evaluate(() => { window.pond.removeFile({ revert: true }); });
  stand.line.flow();
  assert.equal((await stream.becomes("error")).error.code, "cancelled");
  assertHonest(stream.records);
  assert.ok(stand.asked.all.some(({ method }) => method === "DELETE"));
  await until(stand.server.stored, (names) => names.length === 0);
});

test("FilePond shows why a file is refused, by form and in chunks", async (t) => {
  for (const options of [{}, CHUNKS]) {
    const stand = await stage(t, chrome, PAGE, { flags: ["--max-file-size", "1500kB"] });
    await send(stand, options);
    assert.match(await ended(stand), /^the file is larger than the 1\.5 MB taken here/);
    assert.match(await shown(stand).innerText(), /^the file is larger than the 1\.5 MB taken here/);
    assert.deepEqual(await stand.asked.wire(), ["POST 413"]);
    assert.deepEqual(stand.server.stored(), []);
  }
});
