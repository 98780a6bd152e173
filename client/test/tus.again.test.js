/** tus-js-client in Node comes again: after a dead line, to another server, as another process; or ends the upload. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import tus from "tus-js-client";
import { MB, folder, until } from "./support.js";
import { HEADS, assertDone, assertHonest, followers } from "./support/follow.js";
import { line } from "./support/line.js";
import { goOn, resumedAt, send, sendUntil, stage } from "./support/tus.js";

test("the newest request wins over one whose line is dead, which is asked to let go and does so at once", async (t) => {
  const stand = await stage(t, { flags: ["--let-go-time", "1h"] });
  const old = send(t, stand, { retryDelays: null });
  const stream = await sendUntil(stand, old, 2 * MB);
  stand.line.lose();
  const url = old.upload.url;
  old.upload.abort();
  const better = await line(t, stand.server);
  const newer = send(t, { ...stand, line: better }, { uploadUrl: better.url + new URL(url).pathname.slice(1) });
  newer.start();
  await newer.done;
  await stream.becomes("done");
  assert.deepEqual(newer.wire(), ["HEAD 204", "PATCH 204"]);
  assert.ok(resumedAt(newer) > 2 * MB - HEADS);
  assertDone(stream.records, 4 * MB);
  assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
});

for (const dead of [false, true]) {
  test(`terminated in the middle, its line ${dead ? "dead" : "closed"}, an upload is gone, and nothing of it is left`, async (t) => {
    const stand = await stage(t);
    const sending = send(t, stand);
    const stream = await sendUntil(stand, sending, 2 * MB);
    if (dead) stand.line.lose();
    const terminated = sending.upload.abort(true);
    if (!dead) await stream.becomes("interrupted");
    stand.line.flow();
    await terminated;
    const { error } = await stream.becomes("error");
    assert.equal(error.code, "cancelled");
    assertHonest(stream.records);
    assert.equal(sending.wire().at(-1), "DELETE 204");
    const gone = await fetch(sending.upload.url, { method: "HEAD", headers: { "tus-resumable": "1.0.0" } });
    assert.ok([404, 410].includes(gone.status) && !gone.headers.has("upload-offset"), `HEAD answers ${gone.status}`);
    await until(stand.server.stored, (names) => names.length === 0);
  });
}

for (const [signal, end, flags, ready] of [
  ["SIGKILL", "kill", [], (stream) => stream.keeps(2.5 * MB - HEADS)],
  ["SIGTERM", "stop", ["--shutdown-grace", "1s", "--checkpoint-time", "1h"], () => {}],
]) {
  test(`${signal} in the middle, and the upload goes on against the next server`, async (t) => {
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
    assert.deepEqual(stream.states(), ["interrupted", "uploading", "done"]);
    assertHonest(before.records);
    assertDone(stream.records, 4 * MB);
    assert.equal(sending.wire().includes("PATCH 503"), signal === "SIGTERM");
    assert.ok(server.read("paella.bin").equals(stand.sent.bytes));
    assert.deepEqual(server.stored(), ["paella.bin"]);
  });
}

test("another process finds the upload in the client's own list and goes on with it", async (t) => {
  const stand = await stage(t);
  const list = join(folder(t), "uploads.json");
  const storage = () => ({ urlStorage: new tus.FileUrlStorage(list) });
  const first = send(t, stand, storage());
  const stream = await sendUntil(stand, first, 2.5 * MB);
  await first.upload.abort();
  const { offset } = await stream.becomes("interrupted");
  const second = send(t, stand, storage());
  const [known] = await second.upload.findPreviousUploads();
  assert.equal(known.uploadUrl, first.upload.url);
  second.upload.resumeFromPreviousUpload(known);
  await goOn(stand, second, stream, () => second.start());
  assert.equal(resumedAt(second), offset);
  assertDone(stream.records, 4 * MB);
  assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
});

test("an upload that has expired is told so, and the client sends it anew", async (t) => {
  const stand = await stage(t, { flags: ["--expire-after", "4s"] });
  const sending = send(t, stand);
  const stream = await sendUntil(stand, sending, 2.5 * MB);
  const lost = sending.upload.url;
  await sending.upload.abort();
  const { error } = await stream.becomes("error");
  assert.equal(error.code, "expired");
  assertHonest(stream.records);
  await until(stand.server.stored, (names) => names.length === 0);
  stand.line.flow();
  sending.start();
  await sending.done;
  assert.notEqual(sending.upload.url, lost);
  assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
});
