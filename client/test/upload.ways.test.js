/** `upload` and what a server asks for or refuses: limits, rights, checksums, other servers, the app behind. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";
import { BINARY, MB, browser, folder, open, serve, serveByName } from "./support.js";
import { HEADS } from "./support/follow.js";
import { line } from "./support/line.js";
import { dish, pages, send, stage } from "./support/module.js";

const TYPES = { html: "text/html", js: "text/javascript" };

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

/** A server of this test's own; gives its origin. */
async function listen(t, answer) {
  const server = createServer(answer);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

/** A key that server and app share. */
function keyOf(t) {
  const path = join(folder(t), "app.key");
  writeFileSync(path, "a-key-that-is-long-enough-for-everybody\n");
  chmodSync(path, 0o600);
  return path;
}

test("where a request may carry only so much, a file goes up in several", async (t) => {
  const stand = await stage(t, chrome, { flags: ["--max-request-size", "1MB"] });
  const paella = dish(stand, "paella.bin", 2.5 * MB);
  assert.equal((await (await send(stand, paella)).done()).state, "done");
  assert.deepEqual(await stand.asked.wire(), ["POST 201", "PATCH 204", "PATCH 204", "PATCH 201"]);
  assert.deepEqual(stand.asked.offsets(), [0, 1 * MB, 2 * MB]);
  assert.ok(stand.server.read("paella.bin").equals(paella.bytes));
});

test("what the server takes from nobody is refused at once, in its words, and not tried again", async (t) => {
  const stand = await stage(t, chrome, { flags: ["--max-file-size", "1MB"] });
  const sent = await send(stand, dish(stand, "paella.bin", 2 * MB));
  assert.equal(await sent.done(), "file_too_large");
  const { error, state } = await sent.look();
  assert.deepEqual([state, error.status], ["error", 413]);
  assert.match(error.message, /1\.0 MB/);
  assert.deepEqual(await stand.asked.wire(), ["POST 413"]);
});

test("what is refused in the middle, for what its bytes are, ends with that code and leaves nothing", async (t) => {
  const stand = await stage(t, chrome, { flags: ["--allow-type", "image/*"] });
  const sent = await send(stand, dish(stand, "paella.bin", 2 * MB));
  assert.equal(await sent.done(), "type_not_allowed");
  assert.deepEqual(stand.server.stored(), []);
  assert.ok(stand.asked.offsets().length <= 1, "tried again");
});

test("a file that the caller refuses is never sent", async (t) => {
  const stand = await stage(t, chrome);
  await stand.page.evaluate(() => { window.options = { refuse: ({ name }) => ({ code: "empty", message: `${name} is empty` }) }; });
  const sent = await send(stand, dish(stand, "soup.txt", 10));
  assert.equal(await sent.done(), "empty");
  assert.deepEqual(stand.asked.all, []);
});

test("with a checksum each request says what it carries, and what is hurt on the way is not kept", async (t) => {
  const stand = await stage(t, chrome);
  const paella = dish(stand, "paella.bin", 5 * MB);
  assert.equal((await (await send(stand, paella, { checksum: true })).done()).state, "done");
  const fields = stand.asked.all.filter(({ method }) => method === "PATCH").map(({ headers }) => headers["content-digest"]);
  assert.equal(fields.length, 2);
  for (const field of fields) assert.match(field, /^sha-256=:[\w+/]{43}=:$/);
  assert.ok(stand.server.read("paella.bin").equals(paella.bytes));
});

test("over plain http, under a name, all goes up too, with no checksum, which browsers make none of there", async (t) => {
  const server = await serveByName(t, "--page", pages(t));
  const page = await open(t, chrome, server.url);
  await page.waitForFunction(() => window.dw && !window.isSecureContext);
  const stand = { page, files: folder(t) };
  const paella = dish(stand, "paella.bin", 2 * MB);
  const sent = await send(stand, paella, { checksum: true });
  assert.equal((await sent.done()).state, "done");
  assert.ok(server.read("paella.bin").equals(paella.bytes));
});

test("a caller's own fields go along with every request, the stream's too, and what is said of a file is in its record", async (t) => {
  const stand = await stage(t, chrome);
  const streamed = stand.page.waitForRequest((request) => request.url().includes("/uploads?"));
  stand.line.each(HEADS);
  const sent = await send(stand, dish(stand, "paella.bin", 2 * MB), { headers: { "X-Kitchen": "east" }, fields: { dish: "12" } });
  assert.equal((await streamed).headers()["x-kitchen"], "east");
  stand.line.flow();
  assert.equal((await sent.done()).fields.dish, "12");
  for (const { headers } of stand.asked.sending()) assert.equal(headers["x-kitchen"], "east");
});

test("with tickets, one is asked for, an upload that breaks goes on, and where there is none now it is asked for again", async (t) => {
  const key = keyOf(t);
  const stand = await stage(t, chrome, { policy: "default-src 'none'; script-src 'self'; connect-src http://127.0.0.1:*; img-src 'self'" });
  const kitchen = await serve(t, "--app-key-file", key, "--tickets", "--checkpoint-bytes", "512KiB", "--allow-origin", new URL(stand.line.url).origin);
  const way = await line(t, kitchen);
  const sign = () => spawnSync(BINARY, ["ticket", "--key-file", key, "--for", "10m"], { encoding: "utf8" }).stdout.trim();
  let asked = 0;
  const ticket = sign();
  await stand.page.exposeFunction("ticketOf", () => {
    asked += 1;
    if (asked === 1) throw new Error("not now");
    return ticket;
  });
  await stand.page.evaluate(() => { window.options = { ticket: () => window.ticketOf() }; });
  way.each(3 * MB);
  const paella = dish(stand, "paella.bin", 5 * MB);
  const sent = await send(stand, paella, { server: way.url });
  await sent.keeps(1 * MB);
  assert.ok((await sent.changes()).some(({ reason }) => reason === "no_ticket"));
  way.refuse();
  await sent.is("interrupted");
  way.flow();
  assert.equal((await sent.done()).state, "done");
  assert.ok(kitchen.read("paella.bin").equals(paella.bytes));
  for (const { url } of stand.asked.all) assert.ok(!url.includes(ticket));
});

test("a page that will give no ticket ends the upload in its own words", async (t) => {
  const stand = await stage(t, chrome);
  await stand.page.evaluate(() => { window.options = { ticket: () => { throw new window.dw.UploadError("logged_out", "log in first"); } }; });
  const sent = await send(stand, dish(stand, "soup.txt", 10));
  assert.equal(await sent.done(), "logged_out");
  assert.deepEqual(stand.asked.all, []);
});

test("behind the upload stands an app: its own answer is the upload's answer, and the record tells the end", async (t) => {
  const app = await listen(t, (request, answer) => {
    request.resume().on("end", () => answer.writeHead(202, { "Content-Type": "application/json" }).end('{"dish":12}'));
  });
  const stand = await stage(t, chrome, { flags: ["--app-key-file", keyOf(t), "--hand-off", `${app}/dishes`] });
  const sent = await send(stand, dish(stand, "paella.bin", 2 * MB));
  assert.equal((await sent.done()).state, "done");
  const { status, body } = await stand.page.evaluate(() => ({ status: window.uploads[0].answer.status, body: window.uploads[0].answer.body }));
  assert.deepEqual([status, body], [202, { dish: 12 }]);
});

for (const status of [403, 404, 409]) {
  test(`an app that refuses what came with ${status} ends the upload with that, in its words, and nothing is sent or asked again`, async (t) => {
    const app = await listen(t, (request, answer) => request.resume().on("end", () => answer.writeHead(status, { "Content-Type": "application/json" }).end('{"detail":"no such dish"}')));
    const stand = await stage(t, chrome, { flags: ["--app-key-file", keyOf(t), "--hand-off", `${app}/dishes`] });
    const sent = await send(stand, dish(stand, "paella.bin", 2 * MB));
    assert.equal(await sent.done(), "app_refused");
    const { state, error } = await sent.look();
    assert.deepEqual([state, error.status, error.message], ["error", status, "no such dish"]);
    assert.deepEqual(await stand.asked.wire(), ["POST 201", `PATCH ${status}`]);
  });
}

/** The real binary before an app that answers with `app.status`. */
async function inFrontOf(t, app, flags = []) {
  const origin = await listen(t, (request, answer) => request.resume().on("end", () => answer.writeHead(app.status).end()));
  return stage(t, chrome, { flags: ["--app-key-file", keyOf(t), "--hand-off", `${origin}/dishes`, ...flags] });
}

test("a file that the app refused begins anew when it is chosen again, and when it is tried again", async (t) => {
  const app = { status: 409 };
  const stand = await inFrontOf(t, app);
  const paella = dish(stand, "paella.bin", 2 * MB);
  assert.equal(await (await send(stand, paella)).done(), "app_refused");
  assert.deepEqual(await stand.page.evaluate(() => window.dw.unfinished()), []);
  app.status = 422;
  const again = await send(stand, paella);
  assert.equal(await again.done(), "app_refused");
  app.status = 200;
  await again.resume();
  assert.equal((await again.done()).state, "done");
  assert.deepEqual(await stand.asked.wire(), ["POST 201", "PATCH 409", "POST 201", "PATCH 422", "POST 201", "PATCH 200"]);
});

test("a file that the app could not be told of is sent anew when it is tried again", async (t) => {
  const app = { status: 500 };
  const stand = await inFrontOf(t, app, ["--hand-off-retry", "200ms", "--hand-off-retry-most", "200ms", "--hand-off-for", "1s"]);
  const sent = await send(stand, dish(stand, "paella.bin", 2 * MB));
  assert.equal(await sent.done(), "hand_off_failed");
  app.status = 200;
  await sent.resume();
  assert.equal((await sent.done()).state, "done");
  assert.deepEqual(stand.asked.offsets(), [0, 0]);
});

/** A server of tus that takes `most(bytes)` of each request's bytes, and beside it a page with the module; `patches` are the offsets it was sent. */
async function sparing(t, most, ends = () => true) {
  const site = pages(t);
  const [kept, patches] = [[], []];
  const size = () => kept.reduce((sum, part) => sum + part.length, 0);
  const origin = await listen(t, async (request, answer) => {
    const name = new URL(request.url, "http://x").pathname.slice(1) || "index.html";
    if (request.method === "GET") return existsSync(join(site, name)) ? answer.writeHead(200, { "Content-Type": TYPES[name.split(".").pop()] }).end(readFileSync(join(site, name))) : answer.writeHead(404).end();
    const bytes = Buffer.concat(await request.toArray());
    const says = { "Tus-Resumable": "1.0.0", "Upload-Offset": size() };
    if (request.method === "POST") return answer.writeHead(request.headers["tus-resumable"] ? 201 : 412, { ...says, Location: "/files/one" }).end();
    if (request.method === "HEAD") return answer.writeHead(200, says).end();
    assert.equal(Number(request.headers["upload-offset"]), size());
    patches.push(size());
    kept.push(bytes.subarray(0, most(bytes.length)));
    if (ends()) return answer.writeHead(204, { ...says, "Upload-Offset": size() }).end();
    answer.writeHead(200, { ...says, "Upload-Offset": size(), "Content-Type": "application/json", "Content-Length": 9 }).write("[1");
  });
  const page = await open(t, chrome, origin);
  await page.waitForFunction(() => window.dw);
  return { page, files: folder(t), patches, stored: () => Buffer.concat(kept) };
}

test("a server that keeps less than it was sent is believed, and the rest goes again", async (t) => {
  const stand = await sparing(t, (bytes) => Math.min(bytes, MB));
  const paella = dish(stand, "paella.bin", 2.5 * MB);
  assert.equal((await (await send(stand, paella)).done()).state, "done");
  assert.deepEqual(stand.patches, [0, 1 * MB, 2 * MB]);
  assert.ok(stand.stored().equals(paella.bytes));
});

test("an answer that begins and never ends holds nobody for ever", async (t) => {
  let answers = 0;
  const stand = await sparing(t, (bytes) => bytes, () => answers++ > 0);
  await stand.page.clock.install();
  await stand.page.reload();
  await stand.page.waitForFunction(() => window.dw);
  const paella = dish(stand, "paella.bin", 2 * MB);
  const sent = await send(stand, paella);
  for (let second = 0; second < 300 && (await sent.look()).state !== "done"; second += 1) await stand.page.clock.runFor(1000);
  assert.equal((await sent.look()).state, "done");
  assert.ok(stand.stored().equals(paella.bytes));
});

test("a server that keeps nothing of what it takes is left", async (t) => {
  const stand = await sparing(t, () => 0);
  const sent = await send(stand, dish(stand, "paella.bin", 2 * MB));
  assert.equal(await sent.done(), "http_204");
  assert.deepEqual(stand.patches, [0]);
});

test("an answer in the server's place, as a network's login page is one, is not taken for its own", async (t) => {
  const stand = await stage(t, chrome);
  const [paella, login] = [dish(stand, "paella.bin", 2 * MB), "<p>Log in to this network."];
  await stand.page.route("**/files/*", (route) => (route.request().method() === "PATCH" ? route.fulfill({ status: 200, contentType: "text/html", body: login }) : route.continue()));
  const sent = await send(stand, paella);
  assert.equal(await sent.done(), "foreign_answer");
  await stand.page.unroute("**/files/*");
  await sent.resume();
  assert.equal((await sent.done()).state, "done");
  assert.ok(stand.server.read("paella.bin").equals(paella.bytes));
});

test("a server of tus that is not ours takes the file, over a cut too, and its end is known without a record", async (t) => {
  const [dir, site] = [folder(t), pages(t)];
  const tus = new Server({ path: "/files", datastore: new FileStore({ directory: dir }) });
  let patches = 0;
  const origin = await listen(t, (request, answer) => {
    const name = new URL(request.url, "http://x").pathname.slice(1) || "index.html";
    if (request.method === "GET") return existsSync(join(site, name)) ? answer.writeHead(200, { "Content-Type": TYPES[name.split(".").pop()] }).end(readFileSync(join(site, name))) : answer.writeHead(404).end();
    // The first one breaks when some of it has come.
    if (request.method === "PATCH" && patches++ === 0) request.once("data", () => setImmediate(() => request.socket.resetAndDestroy()));
    tus.handle(request, answer);
  });
  const page = await open(t, chrome, origin);
  await page.waitForFunction(() => window.dw);
  const stand = { page, files: folder(t) };
  const paella = dish(stand, "paella.bin", 2 * MB);
  const sent = await send(stand, paella);
  const record = await sent.done();
  assert.deepEqual([record.state, record.files], ["done", [{ name: "paella.bin", url: null }]]);
  assert.ok(patches >= 2);
  const [name] = readdirSync(dir).filter((name) => !name.endsWith(".json"));
  assert.ok(readFileSync(join(dir, name)).equals(paella.bytes));
});
