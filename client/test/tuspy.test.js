/** tuspy, the client for Python, over a line that breaks; the event stream beside it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { MB, file, folder, serve } from "./support.js";
import { HEADS, assertDone, followers } from "./support/follow.js";
import { line } from "./support/line.js";

const PYTHON = fileURLToPath(new URL("../../target/tuspy/bin/python", import.meta.url));
const SEND = fileURLToPath(new URL("support/send.py", import.meta.url));

/** A server, a line to it, a file to send, and who follows the uploads. */
async function stage(t, size = 4 * MB) {
  if (!existsSync(PYTHON)) throw new Error(`no tuspy at ${PYTHON}: run make target/tuspy`);
  const server = await serve(t);
  return { server, line: await line(t, server), sent: file(folder(t), "paella.bin", size), seen: followers(t, server) };
}

/** Runs tuspy until its upload is created, or found again, and followed: `go` lets it send, `ended` is where it stopped. */
async function begin(t, { line, sent, seen }, options = {}) {
  const metadata = { filename: sent.name, filetype: "application/x-paella", dish: "12" };
  const args = [SEND, `${line.url}files/`, sent.path, JSON.stringify({ metadata, retry_delay: 0.1, ...options })];
  const child = spawn(PYTHON, args, { stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  const gone = new Promise((resolve) => child.once("exit", resolve));
  const requests = [];
  let tell;
  const ended = new Promise((resolve) => { tell = resolve; });
  const url = await new Promise((resolve) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const said = JSON.parse(line);
      if (said.url) resolve(said.url);
      else if ("ended" in said) tell(said.ended);
      else requests.push(said);
    }).on("close", () => [resolve, tell].forEach((settle) => settle(null)));
  });
  assert.ok(url, "tuspy ended before it had created its upload");
  const stream = await seen.before(url);
  const kill = () => {
    child.kill("SIGKILL");
    return gone;
  };
  const wire = () => requests.map(({ method, status }) => `${method} ${status}`);
  return { stream, requests, wire, ended, url, kill, go: () => child.stdin.write("\n") };
}

/** Lets it send until about `bytes` have come, held there. */
async function goUntil({ line }, sending, bytes) {
  line.allow(bytes);
  sending.go();
  await sending.stream.receives(bytes - HEADS);
}

/** Lets what was broken off go on, far enough to be seen to, and then to its end; it is whole and in place. */
async function goOn({ line, server, sent }, sending, go) {
  await sending.stream.goesOn(line, go);
  line.flow();
  assert.equal(await sending.ended, sent.bytes.length);
  await sending.stream.becomes("done");
  assertDone(sending.stream.records, sent.bytes.length);
  assert.ok(server.read(sent.name).equals(sent.bytes));
  assert.deepEqual(server.stored(), [sent.name]);
}

for (const [uploader, options] of Object.entries({ "": {}, " with its asynchronous uploader": { async: true } })) {
  test(`tuspy${uploader} sends a file in pieces, and its stream rises to done`, async (t) => {
    const stand = await stage(t);
    const sending = await begin(t, stand, { chunk_size: 1 * MB, ...options });
    sending.go();
    assert.equal(await sending.ended, 4 * MB);
    const last = await sending.stream.becomes("done");
    assert.equal(sending.stream.records[0].state, "starting");
    assertDone(sending.stream.records, 4 * MB);
    assert.deepEqual([last.files[0].name, last.files[0].type, last.fields.dish], ["paella.bin", "application/x-paella", "12"]);
    assert.ok(stand.server.read("paella.bin").equals(stand.sent.bytes));
    if (!options.async) assert.deepEqual(sending.wire(), ["POST 201", "PATCH 204", "PATCH 204", "PATCH 204", "PATCH 204"]);
  });

  test(`when the line breaks, tuspy${uploader} goes on where the upload stood`, async (t) => {
    const stand = await stage(t);
    const sending = await begin(t, stand, { retries: 10, ...options });
    await goUntil(stand, sending, 2.5 * MB);
    stand.line.cut();
    const { offset } = await sending.stream.becomes("interrupted");
    assert.ok(offset > 2.5 * MB - HEADS, `only ${offset} are kept`);
    await goOn(stand, sending);
    assert.equal(Number(sending.requests.find(({ method }) => method === "HEAD").offset), offset);
    assert.deepEqual(sending.stream.states(), ["starting", "uploading", "interrupted", "uploading", "done"]);
  });
}

test("a piece whose line breaks before its checksum could be checked is sent again whole", async (t) => {
  const stand = await stage(t);
  const sending = await begin(t, stand, { chunk_size: 2 * MB, retries: 10, upload_checksum: true });
  await goUntil(stand, sending, 3 * MB);
  stand.line.cut();
  const { offset } = await sending.stream.becomes("interrupted");
  assert.equal(offset, 2 * MB);
  await goOn(stand, sending);
  const patches = sending.requests.filter(({ method }) => method === "PATCH").map(({ at, status }) => [Number(at), status]);
  assert.deepEqual(patches, [[0, 204], [2 * MB, 204]]);
});

test("a tuspy that is killed finds its upload in its own list and goes on with it", async (t) => {
  const stand = await stage(t);
  const list = join(folder(t), "urls.json");
  const first = await begin(t, stand, { list });
  await goUntil(stand, first, 2.5 * MB);
  await first.kill();
  const { offset } = await first.stream.becomes("interrupted");
  stand.line.each(HEADS);
  const second = await begin(t, stand, { list });
  assert.equal(second.url, first.url);
  assert.equal(Number(second.requests[0].offset), offset);
  await goOn(stand, second, () => second.go());
  assert.deepEqual(second.wire(), ["HEAD 204", "PATCH 204"]);
});

test("tuspy sends an empty file by its creation alone", async (t) => {
  const stand = await stage(t, 0);
  const sending = await begin(t, stand);
  await sending.stream.becomes("done");
  assertDone(sending.stream.records, 0);
  sending.go();
  assert.equal(await sending.ended, 0);
  assert.deepEqual(sending.wire(), ["POST 201"]);
  assert.deepEqual(stand.server.stored(), ["paella.bin"]);
});
