/** tus-js-client in Node against the binary, over a line that holds, breaks and goes dead; the event stream beside it. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { test } from "node:test";
import tus from "tus-js-client";
import { MB, file, folder, serve, until } from "./support.js";
import { HEADS, assertDone, assertHonest, followers, idOf } from "./support/follow.js";
import { line } from "./support/line.js";

/** A server, a line to it, a file to send, and who follows each upload. */
async function stage(t, { size = 4 * MB, flags = [] } = {}) {
  const server = await serve(t, ...flags);
  return { server, line: await line(t, server), sent: file(folder(t), "paella.bin", size), seen: followers(t, server) };
}

/** An upload of tus-js-client over that line: `done` is how it ends, `requests` what went over the wire and came back. */
function send(t, { line, sent, seen }, options = {}, input = createReadStream(sent.path)) {
  const requests = [];
  let upload;
  const done = new Promise((resolve, reject) => {
    upload = new tus.Upload(input, {
      endpoint: `${line.url}files/`, retryDelays: [0, ...Array(20).fill(100)],
      metadata: { filename: sent.name, filetype: "application/x-paella" },
      onSuccess: resolve, onError: reject, ...options,
      async onBeforeRequest(request) {
        if (idOf(request.getURL())) await seen?.before(request.getURL());
        await options.onBeforeRequest?.(request);
      },
      onAfterResponse(request, answer) {
        const headers = (name) => answer.getHeader(name);
        requests.push({ method: request.getMethod(), url: request.getURL(), from: request.getHeader("Upload-Offset"), status: answer.getStatus(), headers });
      },
    });
  });
  // Who only looks at how it was aborted does not wait for its end.
  done.catch(() => {});
  t.after(() => upload.abort());
  return { upload, done, requests, start: () => upload.start(), wire: () => requests.map(({ method, status }) => `${method} ${status}`) };
}

/** Sends until about `bytes` have come, held there; gives the stream. */
async function sendUntil(stage, sending, bytes) {
  stage.line.allow(bytes);
  sending.start();
  const [stream] = await stage.seen.first();
  await stream.receives(bytes - HEADS);
  return stream;
}

/** Lets what was broken off go on, far enough to be seen to, and then to its end. */
async function goOn({ line }, sending, stream, go) {
  await stream.goesOn(line, go);
  line.flow();
  await sending.done;
  await stream.becomes("done");
}

/** Where the upload goes on: the offset that the last HEAD told, which is where the next PATCH began. */
function resumedAt({ requests }) {
  const at = requests.findLastIndex(({ method }) => method === "HEAD");
  const offset = Number(requests[at].headers("upload-offset"));
  const next = requests.slice(at + 1).find(({ method }) => method === "PATCH");
  assert.equal(Number(next.from), offset);
  return offset;
}

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

for (const [way, options] of Object.entries({ PATCH: {}, "POST in its place": { overridePatchMethod: true }, "creation with upload": { uploadDataDuringCreation: true, chunkSize: 1 * MB } })) {
  test(`a line that breaks costs nothing that has come (${way})`, async (t) => {
    const stand = await stage(t);
    const sending = send(t, stand, options);
    const stream = await sendUntil(stand, sending, 2.5 * MB);
    stand.line.cut();
    const { offset } = await stream.becomes("interrupted");
    assert.ok(offset > 2.5 * MB - HEADS, `only ${offset} are kept`);
    await goOn(stand, sending, stream);
    assert.equal(resumedAt({ requests: sending.requests.map((one) => ({ ...one, method: one.from && one.method === "POST" ? "PATCH" : one.method })) }), offset);
    assert.deepEqual(stream.states().slice(-4), ["uploading", "interrupted", "uploading", "done"]);
    assertDone(stream.records, 4 * MB);
    assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
    assert.deepEqual(stand.server.stored(), ["paella.bin"]);
  });
}

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
  const storage = () => ({ urlStorage: new tus.FileUrlStorage(list), removeFingerprintOnSuccess: true });
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
  await until(() => second.upload.findPreviousUploads(), (known) => known.length === 0);
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

/** The bytes again, cut into pieces: a stream that does not know its length. */
function* pieces(bytes, size) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
