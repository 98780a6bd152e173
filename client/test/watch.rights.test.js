/** Watching with rights: a ticket that stands in no URL, pages of other origins, and how an upload's progress is told. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Progress } from "../dumbwaiter.js";
import { BINARY, browser, folder, until } from "./support.js";
import { begin, counted, serveSite, watcher } from "./support/watcher.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

/** A server that wants tickets, what signs them, a counted line to it, and a page of another origin that may watch there. */
async function ticketed(t) {
  const home = await serveSite(t);
  const key = join(folder(t), "app.key");
  writeFileSync(key, "0123456789abcdef0123456789abcdef\n");
  chmodSync(key, 0o600);
  const server = await serveSite(t, "--app-key-file", key, "--tickets", "--allow-origin", new URL(home.url).origin);
  const sign = (...claims) => execFileSync(BINARY, ["ticket", "--key-file", key, ...claims], { encoding: "utf8" }).trim();
  const start = () => begin(server, 1000, "dish.jpg", { Authorization: `Bearer ${sign()}` });
  return { sign, start, way: await counted(t, server), page: await watcher(t, chrome, home.url) };
}

test("a ticket to watch shows its upload, and stands in no URL", async (t) => {
  const { sign, start, way, page } = await ticketed(t);
  const { send, record } = await start();
  const { watch } = await record();
  const ticket = sign("--act", "watch", "--watch", watch);
  await page.watch(watch, { ticket, server: way.url });
  await page.becomes(watch, "waiting");
  await send(1000);
  await page.becomes(watch, "done");
  for (const { path, head } of way.asked) assert.deepEqual([path.includes(ticket), head.includes(`Bearer ${ticket}`)], [false, true]);
});

test("two tickets are two rights: one has the stream, the other polls until the first has ended", async (t) => {
  const { sign, start, way, page } = await ticketed(t);
  const uploads = [await start(), await start()];
  const names = [];
  for (const { record } of uploads) {
    const { watch } = await record();
    names.push(watch);
    await page.watch(watch, { ticket: sign("--act", "watch", "--watch", watch), server: way.url });
    await page.becomes(watch, "waiting");
  }
  const [one, other] = names;
  for (const { send } of uploads) await send(400);
  for (const name of names) await page.becomes(name, { state: "uploading", percent: 40, live: true });
  assert.deepEqual(way.streams().map(({ path }) => path), [`/uploads?id=${one}`]);
  await uploads[0].send(600);
  await page.becomes(one, "done");
  await until(() => way.streams().map(({ path }) => path), (paths) => paths.includes(`/uploads?id=${other}`));
  await uploads[1].send(600);
  await page.becomes(other, "done");
});

test("a function gives each upload its own ticket, and a new one where the old is void", async (t) => {
  const { sign, start, way, page } = await ticketed(t);
  await page.exposeFunction("sign", (watch) => sign("--act", "watch", "--watch", watch));
  for (const { record, send } of [await start(), await start()]) {
    const { watch } = await record();
    await page.evaluate(([watch, server]) => {
      let asked = 0;
      const ticket = () => ((asked += 1) > 1 ? window.sign(watch) : "void");
      const progress = ((window.progress ??= {})[watch] = new window.module.Progress());
      window.module.watch(watch, (record, { live }) => progress.told(record, live), { ticket, server });
    }, [watch, way.url]);
    await page.becomes(watch, "waiting");
    await send(400);
    await page.becomes(watch, { state: "uploading", percent: 40 });
  }
});

test("a ticket that does not come is asked for again", async (t) => {
  const { sign, start, way, page } = await ticketed(t);
  const { record, send } = await start();
  const { watch } = await record();
  await page.exposeFunction("sign", () => sign("--act", "watch", "--watch", watch));
  await page.evaluate(([watch, server]) => {
    let asked = 0;
    const ticket = () => ((asked += 1) > 1 ? window.sign() : new Promise(() => {}));
    const progress = (window.progress = { [watch]: new window.module.Progress() })[watch];
    window.module.watch(watch, (record, { live }) => progress.told(record, live), { ticket, server });
  }, [watch, way.url]);
  await send(400);
  await page.becomes(watch, { state: "uploading", percent: 40, live: true });
});

test("a page of another origin watches where the server allows it", async (t) => {
  const home = await serveSite(t);
  const origin = new URL(home.url).origin;
  const server = await serveSite(t, "--allow-origin", origin);
  const { id, send } = await begin(server, 1000);
  const page = await watcher(t, chrome, home.url);
  await page.watch(id, { server: server.url });
  await page.becomes(id, "waiting");
  await send(400);
  await page.becomes(id, { state: "uploading", percent: 40, live: true });
  // For a name that joins the stream is opened again.
  const second = await begin(server, 1000);
  await page.watch(second.id, { server: server.url });
  await page.becomes(second.id, "waiting");
  await send(600);
  await page.becomes(id, "done");
});

const record = (more) => ({ progress_id: null, state: "uploading", length: 1000, received: 0, offset: null, rate: null, eta: null, phase: null, error: null, ...more });

/** What a progress is after each of these records: state, percent, reason. */
function said(...records) {
  const progress = new Progress();
  return records.map((more) => {
    progress.told(more && record(more));
    return [progress.state, progress.percent, progress.reason];
  });
}

test("a bar never falls without saying why", () => {
  // What is kept stays; only what was on its way falls.
  assert.deepEqual(said({ offset: 400, received: 700 }, { offset: 400, received: 450 }), [["uploading", 40, ""], ["uploading", 40, ""]]);
  assert.deepEqual(said({ received: 700 }, { received: 100 }, { received: 800 }, { state: "processing", received: 1000 }),
    [["uploading", 70, ""], ["uploading", 10, "restarted"], ["uploading", 80, "restarted"], ["processing", 99, ""]]);
  assert.deepEqual(said({ received: 700 }, { state: "starting" }, { received: 100 }),
    [["uploading", 70, ""], ["waiting", 0, "restarted"], ["uploading", 10, "restarted"]]);
});

test("what has ended stays as it ended, when its record is forgotten too", () => {
  assert.deepEqual(said({ state: "done", received: 1000 }, null), [["done", 100, ""], ["done", 100, ""]]);
  const error = { code: "cancelled", message: "m", status: 499 };
  assert.deepEqual(said({ state: "error", received: 300, error }, null), [["cancelled", 30, ""], ["cancelled", 30, ""]]);
  assert.deepEqual(said({ received: 300 }, null), [["uploading", 30, ""], ["error", 30, ""]]);
});

test("what was told last is dated, and known to be old when nobody tells any more", () => {
  const progress = new Progress();
  assert.equal(progress.stale, true);
  progress.told(record({ received: 300 }));
  const { toldAt } = progress;
  assert.deepEqual([toldAt > 0, progress.live, progress.stale], [true, true, false]);
  progress.told(progress.record, false);
  assert.deepEqual([progress.toldAt, progress.live, progress.stale, progress.percent], [toldAt, false, true, 30]);
});
