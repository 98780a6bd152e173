/** Watching over what breaks: the server, the line, the sleep of a machine, a page that nobody sees. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { Writable } from "node:stream";
import { after, before, test } from "node:test";
import { browser, until } from "./support.js";
import { line } from "./support/line.js";
import { begin, counted, serveSite, watcher } from "./support/watcher.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

test("a server that starts again goes on where it stood, and what it forgot is gone at once", async (t) => {
  const server = await serveSite(t);
  const way = await line(t, server);
  const { id, send } = await begin(server, 1000);
  await send(400);
  const page = await watcher(t, chrome, way.url);
  // A form whose last bytes do not come: nothing of it outlives the server.
  await page.evaluate(() => {
    const body = new FormData();
    body.append("file", new File([new Uint8Array(3_000_000)], "form.bin"));
    fetch("/upload?X-Progress-ID=form", { method: "POST", body }).catch(() => {});
    window.fetched = true;
  });
  await page.watch([id, "X-Progress-ID=form"]);
  await page.becomes(id, { received: 400, live: true });
  await page.waitForFunction(() => window.told.some(([name]) => name === "X-Progress-ID=form"));
  way.block();
  await server.kill();
  await page.becomes(id, { live: false, received: 400 });
  const again = await server.again();
  way.lead(again);
  await page.becomes(id, { live: true, received: 400, reason: "" });
  await page.waitForFunction(() => window.progress["X-Progress-ID=form"].ended);
  await send(600, again);
  await page.becomes(id, "done");
});

test("when all is forgotten after a break, all of it is gone at once", async (t) => {
  const server = await serveSite(t, "--keep-records", "1s", "--keep-polled", "1s");
  const way = await line(t, server);
  const { id, send, record } = await begin(server, 1000);
  const page = await watcher(t, chrome, way.url);
  await page.watch(id);
  await page.becomes(id, "waiting");
  way.refuse();
  await page.becomes(id, { live: false });
  await send(1000);
  await until(() => record(), ({ code }) => code === "not_found");
  way.flow();
  await page.becomes(id, { state: "error", live: false });
  assert.equal(await page.evaluate((id) => window.progress[id].error.code, id), "gone");
});

test("a line that went dead while the machine slept is noticed on waking", async (t) => {
  const server = await serveSite(t);
  const way = await line(t, server);
  const { id, send } = await begin(server, 1000);
  const page = await watcher(t, chrome, way.url, { clock: true });
  await page.watch(id);
  await page.becomes(id, { state: "waiting", live: true });
  way.lose();
  await send(400);
  await page.clock.fastForward("02:00:00");
  await page.becomes(id, { received: 400, live: true });
  const told = await page.told();
  assert.deepEqual(told.map(([, , received, live]) => [received, live]), [[0, true], [0, false], [400, true]]);
});

test("a page that nobody sees gives its stream back and asks seldom; seen again, it has one", async (t) => {
  const server = await serveSite(t);
  const way = await counted(t, server);
  const { id, send } = await begin(server, 1000);
  const page = await watcher(t, chrome, way.url);
  await page.watch(id);
  await page.becomes(id, "waiting");
  await shown(page, false);
  await send(100);
  await page.becomes(id, { received: 100, live: true });
  assert.deepEqual([way.streams().length, way.asked.at(-1).stream], [1, false]);
  await shown(page, true);
  await until(() => way.streams().length, (many) => many === 2);
  await send(900);
  await page.becomes(id, "done");
  assert.equal(way.asked.at(-1).stream, true);
});

/** Shows or hides the page: no window of a browser without a screen can be covered. */
function shown(page, shown) {
  return page.evaluate((shown) => {
    for (const [name, value] of [["hidden", !shown], ["visibilityState", shown ? "visible" : "hidden"]]) Object.defineProperty(document, name, { value, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, shown);
}

test("where no place for a watcher is free it polls, and tells the same", async (t) => {
  const server = await serveSite(t, "--max-watchers", "1");
  const way = await counted(t, server);
  const { id, send } = await begin(server, 1000);
  const stop = new AbortController();
  t.after(() => stop.abort());
  const taken = await fetch(`${server.url}uploads/${id}`, { headers: { accept: "text/event-stream" }, signal: stop.signal });
  assert.equal(taken.status, 200);
  const page = await watcher(t, chrome, way.url);
  await page.watch(id);
  await page.becomes(id, { state: "waiting", live: true });
  await send(400);
  await page.becomes(id, { state: "uploading", percent: 40 });
  await send(600);
  await page.becomes(id, "done");
  assert.deepEqual([way.streams().length, way.asked.length > 2], [1, true]);
});

/** A proxy that keeps back a stream until it has come to its end, and may speak as another server would. */
async function proxy(t, server, stream) {
  const between = createServer(async (request, response) => {
    const { accept } = request.headers;
    if (accept === "text/event-stream" && stream) return stream(request, response);
    const answer = await fetch(new URL(request.url, server.url), { headers: { accept } });
    response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") }).end(Buffer.from(await answer.arrayBuffer()));
  });
  await new Promise((resolve) => between.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    between.closeAllConnections();
    between.close();
  });
  return { url: `http://127.0.0.1:${between.address().port}/` };
}

test("a page that the browser keeps for its back button holds no stream, and goes on when it is back", async (t) => {
  const keeping = await browser({ ignoreDefaultArgs: ["--disable-back-forward-cache"] });
  t.after(() => keeping.close());
  const server = await serveSite(t);
  const way = await proxy(t, server, async (request, response) => {
    const stop = new AbortController();
    response.on("close", () => stop.abort());
    const { body } = await fetch(new URL(request.url, server.url), { headers: { accept: "text/event-stream" }, signal: stop.signal });
    response.writeHead(200, { "content-type": "text/event-stream" });
    await body.pipeTo(Writable.toWeb(response)).catch(() => {});
  });
  const { id, send } = await begin(server, 1000);
  const page = await watcher(t, keeping, way.url);
  await page.watch(id);
  await page.becomes(id, "waiting");
  await page.evaluate(() => addEventListener("pageshow", ({ persisted }) => { window.persisted = persisted; }));
  await page.goto(`${way.url}?other`);
  await send(400);
  await page.goBack({ waitUntil: "commit" });
  await page.waitForFunction(() => window.persisted);
  await page.becomes(id, { received: 400, live: true });
});

test("behind a proxy that keeps streams back it polls", async (t) => {
  const server = await serveSite(t);
  const way = await proxy(t, server, () => {});
  const { id, send } = await begin(server, 1000);
  const page = await watcher(t, chrome, way.url);
  await page.watch(id);
  await send(400);
  await page.becomes(id, { state: "uploading", percent: 40, live: true });
  await send(600);
  await page.becomes(id, "done");
});

test("a stream is read however it is cut, with comments and carriage returns", async (t) => {
  const server = await serveSite(t);
  const event = (state) => JSON.stringify({ id: "a", state, length: 10, received: 5, offset: null, files: [{ name: "é.jpg", url: null }], error: null });
  const bytes = Buffer.from(`:\r\n\r\nretry: 2000\r\n\r\nid: 1\r\ndata: ${event("uploading")}\r\n\r\n:\r\n\r\ndata:${event("done")}\r\n\r\n`);
  const way = await proxy(t, server, async (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const byte of bytes) {
      response.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  const page = await watcher(t, chrome, way.url);
  await page.watch("a");
  await page.becomes("a", { state: "done", name: "é.jpg" });
  assert.deepEqual((await page.told()).map(([, state]) => state), ["uploading", "done"]);
});
