/** What may be lost on the way: answers, whole uploads, the server's patience. Nothing is sent twice, and nothing is lost. */
import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import { after, before, test } from "node:test";
import { MB, browser, folder, open, serve } from "./support.js";
import { HEADS } from "./support/follow.js";
import { dish, pages, send, stage } from "./support/module.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

/** A proxy before the server that spoils answers: `spoil(request, number)` says how, for the page's requests with a method but GET. */
async function spoiled(t, spoil, { flags = [] } = {}) {
  const server = await serve(t, "--page", pages(t), ...flags);
  const { port } = new URL(server.url);
  const counts = {};
  const proxy = createServer((near, answer) => {
    const what = near.method === "GET" ? null : spoil(near, (counts[near.method] = (counts[near.method] ?? 0) + 1));
    if (Array.isArray(what)) return near.resume().on("end", () => answer.writeHead(what[0], what[1]).end(what[2]));
    const { host, ...headers } = near.headers;
    const far = request({ port, method: near.method, path: near.url, headers: { ...headers, host: `127.0.0.1:${port}` } }, (came) => {
      // Of an open connection that breaks before the first byte of an answer, Chromium sends the request again itself.
      if (what === "lost") return near.socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
      if (what === "hangs") return came.resume();
      answer.writeHead(came.statusCode, came.headers);
      came.pipe(answer);
    });
    near.pipe(far).on("error", () => answer.destroy());
    answer.on("close", () => far.destroy());
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const page = await open(t, chrome, `http://127.0.0.1:${proxy.address().port}/`);
  const stand = { server, page, files: folder(t), counts };
  await page.waitForFunction(() => window.dw);
  return stand;
}

/** In the store lies what was sent, once. */
function assertOnce({ server }, { name, bytes }) {
  assert.deepEqual(server.stored(), [name]);
  assert.ok(server.read(name).equals(bytes));
}

test("the answer to a form that is there whole is lost: its record tells the end, and it is not sent again", async (t) => {
  const stand = await spoiled(t, ({ method }) => method === "POST" && "lost");
  const soup = dish(stand, "soup.txt", 5000);
  const record = await (await send(stand, soup)).done();
  assert.deepEqual(stand.counts, { POST: 1 });
  assert.deepEqual([record.state, record.files?.[0].name], ["done", "soup.txt"]);
  assertOnce(stand, soup);
});

test("an answer that never comes is not waited for once the record says done", async (t) => {
  const stand = await spoiled(t, ({ method }) => method === "POST" && "hangs");
  const soup = dish(stand, "soup.txt", 5000);
  assert.equal((await (await send(stand, soup)).done()).state, "done");
  assert.deepEqual(stand.counts, { POST: 1 });
  assertOnce(stand, soup);
});

test("the last answer of an upload that can be resumed is lost: the server is asked, and it is done", async (t) => {
  const stand = await spoiled(t, ({ method }) => method === "PATCH" && "lost");
  const paella = dish(stand, "paella.bin", 2 * MB);
  assert.equal((await (await send(stand, paella)).done()).state, "done");
  assert.equal(stand.counts.PATCH, 1);
  assertOnce(stand, paella);
});

test("the answer that names an upload is lost: that one is found again, and no second is begun", async (t) => {
  const stand = await spoiled(t, ({ method }, count) => method === "POST" && count === 1 && "lost");
  const paella = dish(stand, "paella.bin", 2 * MB);
  assert.equal((await (await send(stand, paella)).done()).state, "done");
  assert.deepEqual([stand.counts.POST, stand.counts.PATCH], [1, 1]);
  assertOnce(stand, paella);
});

test("a proxy that says when to come again is heard: in seconds, and by a date", async (t) => {
  const stand = await spoiled(t, ({ method }, count) => {
    if (method !== "POST" || count > 2) return null;
    return [503, { "Retry-After": count === 1 ? "2" : new Date(Date.now() + 3000).toUTCString() }, "later"];
  });
  await stand.page.evaluate(() => {
    window.begun = [];
    const { send } = XMLHttpRequest.prototype;
    XMLHttpRequest.prototype.send = function (body) {
      if (body) window.begun.push(Date.now());
      return send.call(this, body);
    };
  });
  const soup = dish(stand, "soup.txt", 5000);
  const sent = await send(stand, soup);
  assert.equal((await sent.done()).state, "done");
  const [first, second, third] = await stand.page.evaluate(() => window.begun);
  assert.ok(second - first >= 2000, `${second - first}`);
  // A date has whole seconds.
  assert.ok(third - second >= 1900, `${third - second}`);
  assertOnce(stand, soup);
});

test("what a proxy refuses for good is not sent again, and its status is the code", async (t) => {
  const stand = await spoiled(t, ({ method }) => method === "POST" && [403, {}, "no"]);
  const sent = await send(stand, dish(stand, "soup.txt", 5000));
  assert.equal(await sent.done(), "http_403");
  assert.deepEqual(stand.counts, { POST: 1 });
});

test("a network's own page that answers everything with 200 is not taken for an end", async (t) => {
  const stand = await spoiled(t, ({ method }) => method === "POST" && [200, { "Content-Type": "text/html" }, "<p>Welcome"]);
  assert.equal(await (await send(stand, dish(stand, "soup.txt", 5000))).done(), "foreign_answer");
  assert.deepEqual(stand.server.stored(), []);
});

test("where nothing can be resumed a file of any size goes up as a form", async (t) => {
  const stand = await spoiled(t, ({ method, url }) => method === "POST" && url === "/files/" && [405, {}, ""]);
  const paella = dish(stand, "paella.bin", 2 * MB);
  const record = await (await send(stand, paella)).done();
  assert.equal(record.protocol, "form");
  assertOnce(stand, paella);
});

test("an upload that the server has lost begins anew, and says why its bar falls", async (t) => {
  const stand = await stage(t, chrome, { flags: ["--checkpoint-bytes", "512KiB"] });
  const paella = dish(stand, "paella.bin", 6 * MB);
  stand.line.each(3 * MB);
  const sent = await send(stand, paella);
  const { record } = await sent.keeps(2 * MB);
  stand.line.refuse();
  await sent.is("interrupted", "connection_lost");
  assert.equal((await fetch(`${stand.server.url}files/${record.id}`, { method: "DELETE", headers: { "Tus-Resumable": "1.0.0" } })).status, 204);
  await stand.server.kill();
  const again = await stand.server.again();
  stand.line.lead(again);
  stand.line.each(HEADS);
  await sent.is("uploading", "restarted");
  stand.line.flow();
  assert.equal((await sent.done()).state, "done");
  assert.deepEqual(stand.asked.offsets().at(-1), 0);
  assertOnce({ server: again }, paella);
});
