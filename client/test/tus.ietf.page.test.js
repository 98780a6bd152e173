/** tus-js-client's modes for drafts of IETF resumable uploads in Chromium, in a page of another origin; the event stream beside it. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MB, browser, until } from "./support.js";
import { HEADS, assertDone, assertHonest, followNamed } from "./support/follow.js";
import { assertStored, stage as stageOf } from "./support/widget.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

const requests = (tab) => tab.evaluate(() => window.requests);
const ended = (tab) => tab.evaluate(() => window.ended);

async function stage(t) {
  const stand = await stageOf(t, chrome, "./tus.page.js");
  // The uploads here have names, by which they are followed from before their first byte.
  await stand.tab.exposeFunction("before", () => {});
  await choose(stand);
  return stand;
}

/** Chooses the file in a page that has just been loaded. */
async function choose({ tab, sent: [{ path }] }) {
  await tab.waitForFunction(() => window.ready);
  await tab.setInputFiles("#file", path);
}

/** Starts an upload in the page, to be held when about `bytes` have come; gives its stream. */
async function sendUntil({ tab, line, seen }, protocol, bytes, options) {
  line.allow(bytes);
  await tab.evaluate(async (options) => {
    window.upload({ ...options, headers: { "X-Progress-ID": await window.named() } });
    window.current.start();
  }, { endpoint: `${line.url}files/`, protocol, ...options });
  const [stream] = await seen.first();
  await stream.receives(bytes - HEADS);
  return stream;
}

/** Lets what was broken off go on, far enough to be seen to, and then to its end. */
async function goOn({ tab, line }, stream, go) {
  await stream.goesOn(line, go);
  line.flow();
  assert.equal(await ended(tab), "done");
  await stream.becomes("done");
}

/** Where the client went on: what the last HEAD told, and where the PATCH after it began. */
async function wentOn(tab) {
  const [head, patch] = (await requests(tab)).slice(-2);
  return [head.method, Number(head.offset), patch.method, Number(patch.from)];
}

for (const protocol of ["ietf-draft-03", "ietf-draft-05"]) {
  test(`${protocol} in a page: a file goes up, and the page reads all that the answers say`, async (t) => {
    const stand = await stage(t);
    const stream = await sendUntil(stand, protocol, 1 * MB);
    stand.line.allow(1 * MB);
    await stream.receives(2 * MB - 2 * HEADS);
    stand.line.flow();
    assert.equal(await ended(stand.tab), "done");
    await stream.becomes("done");
    assert.deepEqual(stream.states().slice(-2), ["uploading", "done"]);
    assertDone(stream.records, 4 * MB, "ietf");
    const said = (await requests(stand.tab)).map(({ method, status, offset, version }) => [method, status, offset, version]);
    assert.deepEqual(said, [["POST", 201, "0", null], ["PATCH", 201, String(4 * MB), null]]);
    assertStored(stand);
  });

  for (const [way, options] of [["in one PATCH", {}], ["in PATCHes of a megabyte", { chunkSize: 1 * MB }]]) {
    test(`${protocol} in a page: a line that breaks costs nothing that has come (${way})`, async (t) => {
      const stand = await stage(t);
      const stream = await sendUntil(stand, protocol, 2.5 * MB, options);
      stand.line.cut();
      const { offset } = await stream.becomes("interrupted");
      assert.ok(offset > 2.5 * MB - HEADS, `only ${offset} are kept`);
      await goOn(stand, stream);
      assert.ok((await requests(stand.tab)).some(({ method, offset: told }) => method === "HEAD" && Number(told) === offset));
      assert.deepEqual(stream.states().slice(-4), ["uploading", "interrupted", "uploading", "done"]);
      assertDone(stream.records, 4 * MB, "ietf");
      assertStored(stand);
    });
  }

  test(`${protocol} in a page: loaded anew and the file chosen again, its upload goes on where it stood`, async (t) => {
    const stand = await stage(t);
    const stream = await sendUntil(stand, protocol, 2.5 * MB);
    await stand.tab.reload();
    const { offset } = await stream.becomes("interrupted");
    await choose(stand);
    await goOn(stand, stream, () => stand.tab.evaluate(async (options) => {
      window.upload({ ...options, removeFingerprintOnSuccess: true });
      window.current.resumeFromPreviousUpload((await window.current.findPreviousUploads())[0]);
      window.current.start();
    }, { endpoint: `${stand.line.url}files/`, protocol }));
    assert.deepEqual((await requests(stand.tab)).map(({ method }) => method), ["HEAD", "PATCH"]);
    assert.deepEqual(await wentOn(stand.tab), ["HEAD", offset, "PATCH", offset]);
    assertDone(stream.records, 4 * MB, "ietf");
    assert.equal(await stand.tab.evaluate(() => localStorage.length), 0);
    assertStored(stand);
  });

  test(`${protocol} in a page: the server is killed, and the upload goes on against the next one`, async (t) => {
    const stand = await stage(t);
    const before = await sendUntil(stand, protocol, 2.5 * MB);
    await before.keeps(2.5 * MB - HEADS);
    stand.line.block();
    await stand.server.kill();
    const server = await stand.server.again();
    const stream = await followNamed(t, server, before.id);
    const { offset } = await stream.becomes("interrupted");
    assert.ok(offset > 2.5 * MB - HEADS, `only ${offset} are kept`);
    await goOn(stand, stream, () => stand.line.lead(server));
    assert.equal(Number((await requests(stand.tab)).at(-1).from), offset);
    assertHonest(before.records);
    assertDone(stream.records, 4 * MB, "ietf");
    assertStored({ ...stand, server });
  });

  test(`${protocol} in a page: terminated in the middle, an upload is gone, and nothing of it is left`, async (t) => {
    const stand = await stage(t);
    const stream = await sendUntil(stand, protocol, 2 * MB);
    const terminated = stand.tab.evaluate(() => window.current.abort(true));
    await stream.becomes("interrupted");
    stand.line.flow();
    await terminated;
    assert.equal((await stream.becomes("error")).error.code, "cancelled");
    assertHonest(stream.records);
    assert.equal((await requests(stand.tab)).at(-1).status, 204);
    await until(stand.server.stored, (names) => names.length === 0);
  });
}
