/** tus-js-client in Node against the binary, over a line that holds and breaks; the event stream beside it. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { test } from "node:test";
import { MB } from "./support.js";
import { HEADS, assertDone } from "./support/follow.js";
import { goOn, pieces, resumedAt, send, sendUntil, stage } from "./support/tus.js";

test("a file goes up by tus, its stream rises to done, and it stands under its name", async (t) => {
  const stand = await stage(t);
  const { server, sent } = stand;
  const sending = send(t, stand);
  stand.line.allow(HEADS);
  sending.start();
  const [stream] = await stand.seen.first();
  for (let mark = 1 * MB; mark < 4 * MB; mark += 1 * MB) {
    stand.line.allow(1 * MB);
    await stream.receives(mark - HEADS);
  }
  stand.line.flow();
  await sending.done;
  const last = await stream.becomes("done");
  assert.deepEqual(stream.states(), ["starting", "uploading", "done"]);
  assertDone(stream.records, 4 * MB);
  assert.equal(last.files[0].name, sent.name);
  assert.equal(last.files[0].type, "application/x-paella");
  assert.deepEqual(sending.wire(), ["POST 201", "PATCH 204"]);
  assert.ok(server.read(sent.name).equals(sent.bytes));
  assert.deepEqual(server.stored(), [sent.name]);
});

for (const location of ["relative", "absolute"]) {
  test(`under a base, and told where by a location that is ${location}, the client comes back over the same line`, async (t) => {
    const stand = await stage(t, { flags: ["--base", "/up", "--location", location] });
    const sending = send(t, stand, { endpoint: `${stand.line.url}up/files/` });
    const stream = await sendUntil(stand, sending, 2.5 * MB);
    assert.ok(sending.upload.url.startsWith(`${stand.line.url}up/files/`), sending.upload.url);
    assert.equal(sending.requests[0].headers("location").startsWith("http"), location === "absolute");
    stand.line.cut();
    await stream.becomes("interrupted");
    await goOn(stand, sending, stream);
    assertDone(stream.records, 4 * MB);
    assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
  });
}

for (const [way, options, method] of [
  ["PATCH", {}, "PATCH"],
  ["POST in its place", { overridePatchMethod: true }, "POST"],
  ["creation with upload", { uploadDataDuringCreation: true, chunkSize: 1 * MB }, "PATCH"],
]) {
  test(`a line that breaks costs nothing that has come (${way})`, async (t) => {
    const stand = await stage(t);
    const sending = send(t, stand, options);
    const stream = await sendUntil(stand, sending, 2.5 * MB);
    stand.line.cut();
    const { offset } = await stream.becomes("interrupted");
    assert.ok(offset > 2.5 * MB - HEADS, `only ${offset} are kept`);
    await goOn(stand, sending, stream);
    assert.equal(resumedAt(sending), offset);
    assert.equal(sending.requests.at(-1).sent, method);
    assert.deepEqual(stream.states().slice(-4), ["uploading", "interrupted", "uploading", "done"]);
    assertDone(stream.records, 4 * MB);
    assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
    assert.deepEqual(stand.server.stored(), ["paella.bin"]);
  });
}

test("parallel parts are uploads of their own, each with its stream, until the final one joins them", async (t) => {
  const stand = await stage(t, { size: 6 * MB });
  const sending = send(t, stand, { parallelUploads: 3 });
  stand.line.each(1 * MB);
  sending.start();
  const parts = await stand.seen.first(3);
  for (const part of parts) await part.receives(1 * MB - HEADS);
  stand.line.cut();
  for (const part of parts) await part.becomes("interrupted");
  stand.line.flow();
  await sending.done;
  for (const part of parts) {
    await part.becomes("done");
    assertDone(part.records, 2 * MB);
    assert.deepEqual(part.states().slice(-2), ["uploading", "done"]);
  }
  const whole = await stand.seen.before(sending.upload.url);
  await whole.becomes("done");
  assertDone(whole.records, 6 * MB);
  assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
});

test("a length that nobody knows before the end is told by the last request, and a break before it costs nothing", async (t) => {
  const stand = await stage(t);
  const input = Readable.from(pieces(stand.sent.bytes, 50_000), { objectMode: false });
  const sending = send(t, stand, { uploadLengthDeferred: true, chunkSize: 1 * MB }, input);
  const stream = await sendUntil(stand, sending, 2.5 * MB);
  assert.ok(stream.records.every(({ length }) => length === null));
  stand.line.cut();
  const { offset } = await stream.becomes("interrupted");
  assert.ok(offset > 2.5 * MB - HEADS);
  await goOn(stand, sending, stream);
  assertDone(stream.records, 4 * MB);
  assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
});

test("a wrong checksum is refused and nothing of its part kept; the right one is taken", async (t) => {
  const stand = await stage(t, { size: 3 * MB });
  let lies = 1;
  const sending = send(t, stand, { chunkSize: 1 * MB, onShouldRetry: (error) => error.originalResponse?.getStatus() === 460,
    onBeforeRequest(request) {
      if (request.getMethod() !== "PATCH") return;
      const from = Number(request.getHeader("Upload-Offset"));
      const right = createHash("sha1").update(stand.sent.bytes.subarray(from, from + 1 * MB)).digest("base64");
      const told = from === 1 * MB && lies-- > 0 ? createHash("sha1").update("another").digest("base64") : right;
      request.setHeader("Upload-Checksum", `sha1 ${told}`);
    } });
  sending.start();
  await sending.done;
  const [stream] = await stand.seen.first();
  await stream.becomes("done");
  assert.deepEqual(sending.wire(), ["POST 201", "PATCH 204", "PATCH 460", "HEAD 204", "PATCH 204", "PATCH 204"]);
  assert.equal(resumedAt(sending), 1 * MB);
  assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
});

test("an empty file is there once it is created", async (t) => {
  const stand = await stage(t, { size: 0 });
  const sending = send(t, stand);
  sending.start();
  await sending.done;
  assert.deepEqual(sending.wire(), ["POST 201"]);
  const stream = await stand.seen.before(sending.upload.url);
  await stream.becomes("done");
  assertDone(stream.records, 0);
  assert.deepEqual(stand.server.stored(), ["paella.bin"]);
});
