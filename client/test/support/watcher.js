/** A page that watches: an own page of the real server's under a strict policy, and uploads that go on byte by byte as a test says. */
import assert from "node:assert/strict";
import { copyFileSync, readdirSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { folder, open, serve } from "../support.js";

const CLIENT = fileURLToPath(new URL("../../", import.meta.url));
const POLICY = "default-src 'none'; script-src 'self'; connect-src 'self' http://127.0.0.1:*; style-src 'self'; img-src data:; require-trusted-types-for 'script'";
const PAGE = `<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>A page that watches</title><link rel="icon" href="data:,">`;

/** How long a test waits for something that must come; a machine may be slow. */
const PATIENCE = 90_000;

/** The server, with a page of its own in the place of ours. */
export function serveSite(t, ...flags) {
  const dir = folder(t);
  writeFileSync(`${dir}/index.html`, PAGE);
  for (const name of readdirSync(CLIENT)) if (/^dumbwaiter(\.\w+)?\.js$/.test(name)) copyFileSync(CLIENT + name, `${dir}/${name}`);
  return serve(t, "--page", dir, ...flags);
}

/** An upload of `size` bytes that has begun; `send` brings some of them, and waits until they are kept. */
export async function begin(server, size, name = "dish.jpg", headers = {}) {
  const metadata = `filename ${Buffer.from(name).toString("base64")}`;
  const about = { "Upload-Length": `${size}`, "Upload-Complete": "?0", "Upload-Metadata": metadata, ...headers };
  const answer = await fetch(`${server.url}files/`, { method: "POST", headers: about });
  assert.equal(answer.status, 201, await answer.text());
  const id = answer.headers.get("location").split("/").at(-1);
  let offset = 0;
  const send = async (bytes, at = server) => {
    const complete = offset + bytes === size;
    const how = { "Upload-Offset": `${offset}`, "Upload-Complete": complete ? "?1" : "?0", "Content-Type": "application/partial-upload", ...headers };
    const { status } = await fetch(`${at.url}files/${id}`, { method: "PATCH", headers: how, body: new Uint8Array(bytes) });
    assert.equal(status, complete ? 201 : 204);
    offset += bytes;
  };
  const record = async (at = server) => (await fetch(`${at.url}uploads/${id}`, { headers })).json();
  return { id, send, record, remove: () => fetch(`${server.url}files/${id}`, { method: "DELETE", headers }) };
}

/** Opens the page at `url` and takes the module in; `clock` gives the page a clock that can be set forward. */
export async function watcher(t, chrome, url, { clock = false, ...options } = {}) {
  const page = await open(t, chrome, "about:blank", options);
  page.setDefaultTimeout(PATIENCE);
  if (clock) await page.clock.install();
  await page.goto(url);
  await page.evaluate(async () => {
    window.module = await import("/dumbwaiter.js");
    window.told = [];
  });
  return Object.assign(page, doing(page));
}

function doing(page) {
  return {
    /** Watches; what is told comes into `told`, as `[name, state, received, live]`, and moves a `Progress` of that name. */
    watch: (names, options = {}) => page.evaluate(([names, options]) => {
      const progress = (window.progress ??= {});
      for (const name of [names].flat()) progress[name] ??= new window.module.Progress();
      window.stop = window.module.watch(names, (record, { name, live }) => {
        progress[name].told(record, live);
        window.told.push([name, record && record.state, record && record.received, live]);
      }, options);
    }, [names, options]),
    told: () => page.evaluate(() => window.told),
    /** Waits until the progress of that name is told to be in that state, or whatever else is wished of it. */
    becomes: (name, wish) => page.waitForFunction(([name, wish]) => {
      const progress = window.progress[name];
      return Object.entries(wish).every(([key, value]) => (key === "received" ? progress.record?.received : progress[key]) === value);
    }, [name, typeof wish === "string" ? { state: wish, live: wish !== "error" } : wish]),
  };
}

/** A line to the server that counts: how many connections are open on which uploads were asked for, and what was asked. */
export async function counted(t, server) {
  const [open, asked] = [new Set(), []];
  const between = createServer((near) => {
    const far = connect(Number(new URL(server.url).port), "127.0.0.1");
    const end = () => [near, far].forEach((one) => one.destroy());
    near.on("data", (bytes) => {
      const head = bytes.toString("latin1");
      if (!/^\w+ \/\S* HTTP/.test(head)) return;
      const watches = head.startsWith("GET /uploads?");
      if (watches) asked.push({ stream: /^accept: text\/event-stream/im.test(head), path: head.split(" ")[1], head });
      watches ? open.add(near) : open.delete(near);
    });
    for (const one of [near, far]) one.unref().on("error", end).on("close", () => (end(), open.delete(near)));
    near.pipe(far).pipe(near);
    ends.add(end);
  });
  const ends = new Set();
  await new Promise((resolve) => between.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const end of ends) end();
    between.close();
  });
  return { url: `http://127.0.0.1:${between.address().port}/`, open, asked, streams: () => asked.filter(({ stream }) => stream) };
}
