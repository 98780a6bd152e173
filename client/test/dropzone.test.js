/** Dropzone in Chromium, in a page of another origin, plain and in chunks, over a line that breaks; the streams beside it. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MB, browser } from "./support.js";
import { HEADS, assertDone, assertFormDone, assertHonest, followNamed } from "./support/follow.js";
import { assertStored, send as begin, stage } from "./support/widget.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

const PAGE = "./dropzone.page.js";
const CHUNKS = { chunking: true, chunkSize: 1 * MB, retryChunks: true };
const send = (stand, options = {}) => begin(stand, options.put ? "files/" : "upload", options);
const ended = ({ tab }) => tab.evaluate(() => window.ended);
const told = ({ tab }) => tab.evaluate(() => window.told);
const shown = ({ tab }) => tab.locator("[data-dz-errormessage]");

/** Lets Dropzone send, to be held when about `bytes` have come; gives the stream of its first file. */
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
  assert.deepEqual(await ended(stand), [1, 0]);
  await stream.becomes("done");
}

test("Dropzone sends several files by form, and each has a stream that rises to done", async (t) => {
  const stand = await stage(t, chrome, PAGE, { names: ["paella.bin", "soup.bin", "料理.bin"] });
  stand.line.each(2 * MB);
  await send(stand);
  const streams = await stand.seen.first(3);
  for (const stream of streams) await stream.receives(2 * MB - HEADS);
  stand.line.flow();
  assert.deepEqual(await ended(stand), [3, 0]);
  for (const stream of streams) {
    await stream.becomes("done");
    assertFormDone(stream.records, 4 * MB);
  }
  for (const { name, answer } of (await told(stand)).success) {
    const back = await fetch(new URL(answer.url, stand.server.url));
    assert.ok(Buffer.from(await back.arrayBuffer()).equals(stand.sent.find((file) => file.name === name).bytes));
  }
  assertStored(stand);
});

test("Dropzone sends several files in one form", async (t) => {
  const stand = await stage(t, chrome, PAGE, { names: ["paella.bin", "soup.bin"], size: 2 * MB });
  stand.line.flow();
  await send(stand, { uploadMultiple: true });
  assert.deepEqual(await ended(stand), [2, 0]);
  const [{ answer }] = (await told(stand)).success;
  assert.deepEqual(answer.files.map(({ field }) => field), ["file[0]", "file[1]"]);
  assert.deepEqual(await stand.asked.wire(), ["POST 201"]);
  assertStored(stand);
});

test("Dropzone sends the file itself by PUT", async (t) => {
  const stand = await stage(t, chrome, PAGE, { names: ["ein Gericht 料理.bin"] });
  const stream = await sendUntil(stand, 2 * MB, { put: true, method: "put", binaryBody: true });
  stand.line.flow();
  assert.deepEqual(await ended(stand), [1, 0]);
  await stream.becomes("done");
  assertDone(stream.records, 4 * MB, "put");
  assertStored(stand);
});

test("Dropzone sends a file in chunks, and it is one upload all along", async (t) => {
  const stand = await stage(t, chrome, PAGE, { names: ["ein Gericht 料理.bin"], size: 3.5 * MB });
  const stream = await sendUntil(stand, 1.5 * MB, CHUNKS);
  stand.line.allow(1 * MB);
  await stream.receives(2.5 * MB - 2 * HEADS);
  stand.line.flow();
  assert.deepEqual(await ended(stand), [1, 0]);
  const { protocol } = await stream.becomes("done");
  assert.deepEqual(stream.states().slice(-2), ["uploading", "done"]);
  assertDone(stream.records, 3.5 * MB, protocol);
  assert.equal(protocol, "dropzone");
  assert.equal(stand.asked.all.length, 4);
  assert.ok((await stand.asked.wire()).every((line) => line === "POST 200"), (await stand.asked.wire()).join());
  assertStored(stand);
});

test("several files go up in chunks at once", async (t) => {
  const stand = await stage(t, chrome, PAGE, { names: ["paella.bin", "soup.bin"], size: 2.5 * MB });
  await send(stand, CHUNKS);
  assert.deepEqual(await ended(stand), [2, 0]);
  for (const stream of await stand.seen.first(2)) {
    await stream.becomes("done");
    assertDone(stream.records, 2.5 * MB, "dropzone");
  }
  assertStored(stand);
});

test("an empty file goes up in a chunk too", async (t) => {
  const stand = await stage(t, chrome, PAGE, { size: 0 });
  await send(stand, { ...CHUNKS, forceChunking: true });
  assert.deepEqual(await ended(stand), [1, 0]);
  const [stream] = await stand.seen.first();
  await stream.becomes("done");
  assertDone(stream.records, 0, "dropzone");
  assertStored(stand);
});

test("when the line breaks, Dropzone sends the broken chunk again by itself, and all before it stays", async (t) => {
  const stand = await stage(t, chrome, PAGE);
  const stream = await sendUntil(stand, 2.5 * MB, CHUNKS);
  stand.line.cut();
  const { offset } = await stream.becomes("interrupted");
  assert.ok(offset >= 2 * MB, `only ${offset} are kept`);
  await goOn(stand, stream);
  assert.deepEqual(stream.states().slice(-4), ["uploading", "interrupted", "uploading", "done"]);
  assertDone(stream.records, 4 * MB, "dropzone");
  assertStored(stand);
});

test("when the server is killed, Dropzone goes on against the next one", async (t) => {
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
  assertDone(stream.records, 4 * MB, "dropzone");
  assertStored({ ...stand, server });
});

test("when the line breaks, a form of Dropzone's ends in an error, and nothing of it is left", async (t) => {
  const stand = await stage(t, chrome, PAGE);
  const stream = await sendUntil(stand, 2 * MB);
  stand.line.refuse();
  assert.equal((await stream.becomes("error")).error.code, "client_gone");
  assert.deepEqual(await ended(stand), [0, 1]);
  assertHonest(stream.records);
  assert.deepEqual(stand.server.stored(), []);
});

test("without retryChunks a break ends the file in Dropzone, and what came is interrupted here", async (t) => {
  const stand = await stage(t, chrome, PAGE);
  const stream = await sendUntil(stand, 2.5 * MB, { ...CHUNKS, retryChunks: false });
  stand.line.refuse();
  await stream.becomes("interrupted");
  assertHonest(stream.records);
  assert.deepEqual(await ended(stand), [0, 1]);
  assert.match(await shown(stand).innerText(), /^Server responded with 0 code\./);
});

for (const [way, options] of [["by form", {}], ["in chunks", CHUNKS]]) {
  test(`Dropzone shows why a file is refused that goes up ${way}`, async (t) => {
    const stand = await stage(t, chrome, PAGE, { flags: ["--max-file-size", "1500kB"] });
    await send(stand, options);
    assert.deepEqual(await ended(stand), [0, 1]);
    assert.equal(await shown(stand).textContent(), "the file is larger than the 1.5 MB taken here");
    assert.deepEqual(stand.server.stored(), []);
  });
}

test("parallel chunks are refused, and Dropzone shows what to set", async (t) => {
  const stand = await stage(t, chrome, PAGE);
  stand.line.each(0.5 * MB);
  await send(stand, { ...CHUNKS, retryChunks: false, parallelChunkUploads: true });
  assert.deepEqual((await ended(stand))[0], 0);
  assert.match(await shown(stand).textContent(), /^chunks of one file come one after the other here: switch off parallel chunks$/);
  assert.ok((await stand.asked.wire()).includes("POST 409"), (await stand.asked.wire()).join());
  assert.deepEqual(stand.server.stored().filter((name) => name === stand.sent[0].name), []);
});

test("cancelled by hand, a file in chunks stays interrupted here: Dropzone does not tell", async (t) => {
  const stand = await stage(t, chrome, PAGE);
  const stream = await sendUntil(stand, 2.5 * MB, CHUNKS);
  await stand.tab.evaluate(() => { window.zone.removeAllFiles(true); });
  await stream.becomes("interrupted");
  assertHonest(stream.records);
  assert.ok(stand.asked.all.every(({ method }) => method === "POST"));
});
