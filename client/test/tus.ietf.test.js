/** tus-js-client's modes for drafts of IETF resumable uploads, in Node, over a line that holds and breaks; the event stream beside it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Readable } from "node:stream";
import { test } from "node:test";
import tus from "tus-js-client";
import { MB, folder, until } from "./support.js";
import { HEADS, assertDone, assertHonest, followers } from "./support/follow.js";
import { goOn, pieces, resumedAt, send as sendBy, sendUntil, stage } from "./support/tus.js";

for (const protocol of ["ietf-draft-03", "ietf-draft-05"]) {
  const send = (t, stand, options, ...rest) => sendBy(t, stand, { protocol, ...options }, ...rest);

  test(`${protocol}: a file goes up, its stream rises to done, and it stands under its name`, async (t) => {
    const stand = await stage(t);
    const sending = send(t, stand);
    const stream = await sendUntil(stand, sending, 1 * MB);
    for (let mark = 2 * MB; mark < 4 * MB; mark += 1 * MB) {
      stand.line.allow(1 * MB);
      await stream.receives(mark - HEADS);
    }
    stand.line.flow();
    await sending.done;
    const last = await stream.becomes("done");
    assert.deepEqual(stream.states(), ["starting", "uploading", "done"]);
    assertDone(stream.records, 4 * MB, "ietf");
    assert.equal(last.files[0].name, stand.sent.name);
    assert.equal(last.files[0].type, "application/x-paella");
    assert.deepEqual(sending.requests.map(({ method }) => method), ["POST", "PATCH"]);
    assert.ok(sending.requests.every(({ headers }) => !headers("tus-resumable")));
    assert.ok(stand.server.read(stand.sent.name).equals(stand.sent.bytes));
    assert.deepEqual(stand.server.stored(), [stand.sent.name]);
  });

  for (const [way, options, first] of [
    ["all in one PATCH", {}, "?1"],
    ["in PATCHes of a megabyte", { chunkSize: 1 * MB }, "?0"],
    ["the first bytes with the POST", { uploadDataDuringCreation: true, chunkSize: 1 * MB }, "?0"],
  ]) {
    test(`${protocol}: a line that breaks costs nothing that has come (${way})`, async (t) => {
      const said = [];
      const stand = await stage(t);
      const sending = send(t, stand, { ...options, onBeforeRequest: (request) => { said.push(request.getHeader("Upload-Complete")); } });
      const stream = await sendUntil(stand, sending, 2.5 * MB);
      assert.ok(said.includes(first));
      stand.line.cut();
      const { offset } = await stream.becomes("interrupted");
      assert.ok(offset > 2.5 * MB - HEADS, `only ${offset} are kept`);
      await goOn(stand, sending, stream);
      assert.equal(resumedAt(sending), offset);
      assert.deepEqual(stream.states().slice(-4), ["uploading", "interrupted", "uploading", "done"]);
      assertDone(stream.records, 4 * MB, "ietf");
      assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
      assert.deepEqual(stand.server.stored(), ["paella.bin"]);
    });
  }

  for (const [signal, end, flags, ready] of [
    ["SIGKILL", "kill", [], (stream) => stream.keeps(2.5 * MB - HEADS)],
    ["SIGTERM", "stop", ["--shutdown-grace", "1s", "--checkpoint-time", "1h"], () => {}],
  ]) {
    test(`${protocol}: ${signal} in the middle, and the upload goes on against the next server`, async (t) => {
      const stand = await stage(t, { flags });
      const sending = send(t, stand);
      const before = await sendUntil(stand, sending, 2.5 * MB);
      await ready(before);
      stand.line.block();
      await stand.server[end]();
      const server = await stand.server.again();
      const stream = await followers(t, server).before(sending.upload.url);
      const [{ state, offset }] = stream.records;
      assert.equal(state, "interrupted");
      assert.ok(offset > 2.5 * MB - HEADS, `only ${offset} are kept`);
      await goOn(stand, sending, stream, () => stand.line.lead(server));
      assert.equal(resumedAt(sending), offset);
      assertHonest(before.records);
      assertDone(stream.records, 4 * MB, "ietf");
      assert.ok(server.read("paella.bin").equals(stand.sent.bytes));
    });
  }

  test(`${protocol}: another process finds the upload in the client's own list and goes on with it`, async (t) => {
    const stand = await stage(t);
    const list = join(folder(t), "uploads.json");
    const storage = () => ({ urlStorage: new tus.FileUrlStorage(list) });
    const first = send(t, stand, storage());
    const stream = await sendUntil(stand, first, 2.5 * MB);
    await first.upload.abort();
    const { offset } = await stream.becomes("interrupted");
    const second = send(t, stand, storage());
    const [known] = await second.upload.findPreviousUploads();
    second.upload.resumeFromPreviousUpload(known);
    await goOn(stand, second, stream, () => second.start());
    assert.equal(resumedAt(second), offset);
    assertDone(stream.records, 4 * MB, "ietf");
    assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
  });

  test(`${protocol}: a length that nobody knows before the end, and a break before it costs nothing`, async (t) => {
    const stand = await stage(t, { size: 3.9 * MB });
    const input = Readable.from(pieces(stand.sent.bytes, 50_000), { objectMode: false });
    const sending = send(t, stand, { uploadLengthDeferred: true, chunkSize: 1 * MB }, input);
    const stream = await sendUntil(stand, sending, 2.5 * MB);
    assert.ok(stream.records.every(({ length }) => length === null));
    stand.line.cut();
    await stream.becomes("interrupted");
    await goOn(stand, sending, stream);
    assertDone(stream.records, 3.9 * MB, "ietf");
    assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
  });

  test(`${protocol}: terminated in the middle, an upload is gone, and nothing of it is left`, async (t) => {
    const stand = await stage(t);
    const sending = send(t, stand);
    const stream = await sendUntil(stand, sending, 2 * MB);
    const terminated = sending.upload.abort(true);
    await stream.becomes("interrupted");
    stand.line.flow();
    await terminated;
    assert.equal((await stream.becomes("error")).error.code, "cancelled");
    assertHonest(stream.records);
    assert.equal(sending.wire().at(-1), "DELETE 204");
    await until(stand.server.stored, (names) => names.length === 0);
  });

  test(`${protocol}: an empty file is there once it is created`, async (t) => {
    const stand = await stage(t, { size: 0 });
    const sending = send(t, stand);
    sending.start();
    await sending.done;
    const stream = await stand.seen.before(sending.upload.url);
    await stream.becomes("done");
    assertDone(stream.records, 0, "ietf");
    assert.deepEqual(sending.wire(), ["POST 201"]);
    assert.deepEqual(stand.server.stored(), ["paella.bin"]);
  });
}
