/** Uppy with @uppy/xhr-upload in Chromium, in a page of another origin, by form and by PUT; the event streams beside it. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MB, browser, until } from "./support.js";
import { HEADS, assertDone, assertFormDone, assertHonest } from "./support/follow.js";
import { assertStored, send as begin, stage } from "./support/widget.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

const PAGE = "./xhr.page.js";
const send = (stand, options) => begin(stand, options?.put ? "files/" : "upload", options);
const ended = ({ tab }) => tab.evaluate(() => window.ended);
const told = ({ tab }) => tab.evaluate(() => window.told);

/** Lets Uppy send, to be held when about `bytes` have come over each connection; gives the streams. */
async function sendUntil(stand, bytes, options) {
  stand.line.each(bytes);
  await send(stand, options);
  const streams = await stand.seen.first(options?.bundle ? 1 : stand.sent.length);
  for (const stream of streams) await stream.receives(bytes - HEADS);
  return streams;
}

test("Uppy sends several files by form, each has a stream that rises to done, and Uppy is told where each is", async (t) => {
  const stand = await stage(t, chrome, PAGE, { names: ["paella.bin", "soup.bin", "料理.bin"] });
  const streams = await sendUntil(stand, 2 * MB);
  stand.line.flow();
  assert.deepEqual(await ended(stand), [3, 0]);
  for (const stream of streams) {
    await stream.becomes("done");
    assert.deepEqual(stream.states().slice(-2), ["uploading", "done"]);
    assertFormDone(stream.records, 4 * MB);
  }
  assert.equal(new Set(streams.map(({ last }) => last.id ?? last.progress_id)).size, 3);
  const { success } = await told(stand);
  assert.deepEqual(success.map(({ name }) => name).sort(), stand.sent.map(({ name }) => name).sort());
  for (const { name, status, uploadURL, body } of success) {
    assert.deepEqual([status, body.files[0].name, body.fields.dish], [201, name, "12"]);
    const back = await fetch(new URL(uploadURL, stand.server.url));
    assert.ok(Buffer.from(await back.arrayBuffer()).equals(stand.sent.find((file) => file.name === name).bytes));
  }
  assertStored(stand);
});

test("of a bundle, one form with all of the files, the record tells where each is", async (t) => {
  const stand = await stage(t, chrome, PAGE, { names: ["paella.bin", "soup.bin"], size: 2 * MB });
  const [stream] = await sendUntil(stand, 3 * MB, { bundle: true });
  stand.line.flow();
  assert.deepEqual(await ended(stand), [2, 0]);
  await stream.becomes("done");
  assertFormDone(stream.records, 4 * MB);
  const { success: [{ uploadURL, body }] } = await told(stand);
  assert.equal(uploadURL, undefined);
  for (const [i, { url, name }] of body.files.entries()) {
    assert.equal(name, stand.sent[i].name);
    assert.ok(Buffer.from(await (await fetch(new URL(url, stand.server.url))).arrayBuffer()).equals(stand.sent[i].bytes));
  }
  assertStored(stand);
});

test("without a form, Uppy sends the file itself by PUT to an endpoint that has its name", async (t) => {
  const stand = await stage(t, chrome, PAGE, { names: ["ein Gericht 料理.bin"] });
  const [stream] = await sendUntil(stand, 2 * MB, { put: true, method: "put", formData: false });
  stand.line.flow();
  assert.deepEqual(await ended(stand), [1, 0]);
  await stream.becomes("done");
  assertDone(stream.records, 4 * MB, "put");
  assert.ok((await told(stand)).success[0].uploadURL);
  assertStored(stand);
});

test("when the line breaks, Uppy sends the whole form again, and nothing is left of the first", async (t) => {
  const stand = await stage(t, chrome, PAGE);
  const [first] = await sendUntil(stand, 2.5 * MB);
  stand.line.cut();
  assert.equal((await first.becomes("error")).error.code, "client_gone");
  assertHonest(first.records);
  assert.deepEqual(stand.server.stored(), []);
  stand.line.each(1 * MB);
  const second = await stand.seen.anew();
  stand.line.flow();
  assert.deepEqual(await ended(stand), [1, 0]);
  await second.becomes("done");
  assertFormDone(second.records, 4 * MB);
  assert.equal((await stand.asked.wire()).at(-1), "POST 201");
  assertStored(stand);
});

test("a refusal's words reach the page, and what is refused is not sent again", async (t) => {
  const stand = await stage(t, chrome, PAGE, { flags: ["--max-file-size", "1MB"] });
  await send(stand);
  assert.deepEqual(await ended(stand), [0, 1]);
  const [{ message }] = (await told(stand)).error;
  assert.match(message, /larger than the 1\.0 MB/);
  assert.deepEqual(await stand.asked.wire(), ["POST 413"]);
  assert.deepEqual(stand.server.stored(), []);
});

test("left as it is, Uppy sends what is refused four times, and says only that it failed", async (t) => {
  const stand = await stage(t, chrome, PAGE, { flags: ["--max-file-size", "1MB"] });
  await send(stand, { patient: true });
  assert.deepEqual(await ended(stand), [0, 1]);
  assert.deepEqual(await stand.asked.wire(), Array(4).fill("POST 413"));
  assert.doesNotMatch((await told(stand)).error[0].message, /1\.0 MB/);
});

test("cancelled in Uppy, the form ends in error here, and nothing of it is left", async (t) => {
  const stand = await stage(t, chrome, PAGE);
  const [stream] = await sendUntil(stand, 2 * MB);
  await stand.tab.evaluate(() => window.uppy.cancelAll());
  assert.equal((await stream.becomes("error")).error.code, "client_gone");
  assertHonest(stream.records);
  await until(stand.server.stored, (names) => names.length === 0);
});
