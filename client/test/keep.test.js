/** Over reloads and tabs: one file, one upload, and what is kept of it. */
import assert from "node:assert/strict";
import { utimesSync } from "node:fs";
import { after, before, test } from "node:test";
import { MB, browser, slow, until } from "./support.js";
import { dish, following, send, stage } from "./support/module.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

/** What is noted of uploads in this browser. */
const notes = (page) => page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("dumbwaiter")).map((key) => JSON.parse(localStorage[key])));

/** Another tab of the same browser, on the same page. */
async function another(stand) {
  const page = await stand.page.context().newPage();
  // Told by the page itself: the browser's events of requests may be lost when the tab beside it is closed.
  await page.addInitScript(() => {
    window.offsets = [];
    const { setRequestHeader } = XMLHttpRequest.prototype;
    XMLHttpRequest.prototype.setRequestHeader = function set(name, value) {
      if (name === "Upload-Offset") window.offsets.push(Number(value));
      return setRequestHeader.call(this, name, value);
    };
  });
  await page.goto(stand.line.url);
  await page.waitForFunction(() => window.dw);
  return { ...stand, page, patches: () => page.evaluate(() => window.offsets) };
}

/** Sends three of twelve megabytes and then goes slowly. */
async function begun(t, options) {
  const stand = await stage(t, chrome, options);
  await slow(stand.page, 3 * MB);
  // However slow the machine is, it does not end before the line lets it.
  stand.line.each(6 * MB);
  const sent = dish(stand, "paella.bin", 12 * MB);
  const upload = await send(stand, sent);
  await upload.keeps(3 * MB);
  return { stand, sent, upload };
}

/** The file chosen once more, after a reload say. */
async function chosen(stand, sent) {
  await stand.page.waitForFunction(() => window.dw);
  const patches = [];
  stand.page.on("request", (request) => request.method() === "PATCH" && patches.push(Number(request.headers()["upload-offset"])));
  return { again: await send(stand, sent), patches };
}

test("after a reload the same file, chosen again, goes on from what is kept", async (t) => {
  const { stand, sent } = await begun(t);
  await stand.page.reload();
  stand.line.flow();
  const { again, patches } = await chosen(stand, sent);
  assert.equal((await again.done()).state, "done");
  await until(() => patches.length, (count) => count === 1);
  assert.ok(patches[0] >= 3 * MB, `it went on at ${patches}`);
  assert.ok(stand.server.read("paella.bin").equals(sent.bytes));
  assert.deepEqual(stand.server.stored(), ["paella.bin"]);
  assert.deepEqual(await notes(stand.page), []);
});

test("a page can ask what was left unfinished, and give it up here and on the server", async (t) => {
  const { stand } = await begun(t);
  await stand.page.reload();
  stand.line.flow();
  await stand.page.waitForFunction(() => window.dw);
  const rest = await stand.page.evaluate(() => dw.unfinished());
  assert.equal(rest.length, 1);
  assert.deepEqual([rest[0].name, rest[0].size, rest[0].way], ["paella.bin", 12 * MB, "ietf"]);
  assert.ok(rest[0].kept > 0 && rest[0].kept < 12 * MB, `${rest[0].kept} are kept`);
  await stand.page.evaluate(() => dw.forget(dw.unfinished()[0]));
  assert.deepEqual(await stand.page.evaluate(() => dw.unfinished()), []);
  await until(stand.server.stored, (names) => names.length === 0);
  assert.equal((await fetch(rest[0].url, { method: "HEAD" })).status, 404);
});

test("a file that was changed since, or is meant otherwise, is another upload", async (t) => {
  const { stand, sent } = await begun(t);
  await stand.page.reload();
  stand.line.flow();
  utimesSync(sent.path, 1e9, 1e9);
  const { again, patches } = await chosen(stand, sent);
  assert.equal((await again.done()).state, "done");
  await until(() => patches.length, (count) => count > 0);
  assert.deepEqual(patches, [0]);
  await stand.page.evaluate(() => { window.options = { fields: { dish: "13" } }; });
  const other = await send(stand, sent);
  assert.deepEqual((await other.done()).fields, { dish: "13" });
});

test("what the server has thrown away meanwhile begins anew, and says so", async (t) => {
  const { stand, sent } = await begun(t);
  await stand.page.reload();
  stand.line.flow();
  await stand.page.waitForFunction(() => window.dw);
  const [{ url }] = await notes(stand.page);
  assert.equal((await fetch(url, { method: "DELETE" })).status, 204);
  await until(async () => (await fetch(url, { method: "HEAD" })).status, (status) => status === 404);
  // Nobody remembers how it ended either.
  await stand.server.kill();
  stand.line.lead(await stand.server.again());
  const { again, patches } = await chosen(stand, sent);
  await again.until(({ reason }) => reason === "restarted", "restarted");
  assert.equal((await again.done()).state, "done");
  await until(() => patches.length, (count) => count > 0);
  assert.deepEqual(patches, [0]);
});

test("in two tabs the same file goes up once, and both bars come to their end", async (t) => {
  const { stand, sent, upload } = await begun(t);
  const second = await another(stand);
  const other = await send(second, sent);
  await other.is("uploading", "elsewhere");
  const seen = await other.until(({ kept }) => kept > 0.25, "the bar of the other tab's upload");
  assert.ok(seen.kept < 1);
  stand.line.flow();
  const [one, two] = [await upload.done(), await other.done()];
  assert.deepEqual([one.state, two.state, two.id], ["done", "done", one.id]);
  assert.deepEqual(await second.patches(), []);
  assert.deepEqual(stand.server.stored(), ["paella.bin"]);
  assert.ok(stand.server.read("paella.bin").equals(sent.bytes));
});

test("when the tab that sends is closed, the other one goes on from what is kept", async (t) => {
  const { stand, sent } = await begun(t);
  const second = await another(stand);
  const other = await send(second, sent);
  await other.is("uploading", "elsewhere");
  await stand.page.close();
  // Else the line might still carry all that the closed tab had sent.
  await until(() => other.changes(), (changes) => changes.some(({ record }) => record?.state === "interrupted"));
  stand.line.flow();
  assert.equal((await other.done()).state, "done");
  const [from] = await second.patches();
  assert.ok(from >= 3 * MB, `it went on at ${from}`);
  assert.ok(stand.server.read("paella.bin").equals(sent.bytes));
});

test("a pause in one tab is one in the other, which can go on with it", async (t) => {
  const { stand, sent, upload } = await begun(t);
  const second = await another(stand);
  const other = await send(second, sent);
  await other.is("uploading", "elsewhere");
  await upload.pause();
  await other.is("paused");
  stand.line.flow();
  await other.resume();
  assert.equal((await other.done()).state, "done");
  const [from] = await second.patches();
  assert.ok(from >= 3 * MB, `it went on at ${from}`);
  assert.equal((await upload.look()).state, "paused");
});

test("what is cancelled in one tab is cancelled in the other", async (t) => {
  const { stand, sent, upload } = await begun(t);
  const second = await another(stand);
  const other = await send(second, sent);
  await other.is("uploading", "elsewhere");
  await other.cancel();
  await upload.is("cancelled");
  await until(stand.server.stored, (names) => names.length === 0);
  assert.deepEqual(await notes(stand.page), []);
});

test("whoever takes the upload from elsewhere for a moment does not end it", async (t) => {
  const { stand, sent, upload } = await begun(t);
  const [{ url }] = await notes(stand.page);
  assert.equal((await fetch(url, { method: "HEAD" })).status, 204);
  await upload.until(({ reason, state }) => state === "interrupted" && reason === "superseded", "superseded");
  stand.line.flow();
  assert.equal((await upload.done()).state, "done");
  assert.ok(stand.server.read("paella.bin").equals(sent.bytes));
});

test("a browser that lets a page store nothing sends all the same", async (t) => {
  const stand = await stage(t, chrome);
  await stand.page.evaluate(() => {
    for (const name of ["getItem", "setItem", "removeItem"]) Storage.prototype[name] = () => { throw new DOMException("no", "SecurityError"); };
  });
  const upload = await send(stand, dish(stand, "paella.bin", 3 * MB));
  assert.equal((await upload.done()).state, "done");
  assert.deepEqual(await stand.page.evaluate(() => dw.unfinished()), []);
});

test("nothing is noted of an upload that is not to be remembered, and of old ones not for ever", async (t) => {
  const stand = await stage(t, chrome);
  await slow(stand.page, MB);
  const upload = await send(stand, dish(stand, "paella.bin", 3 * MB), { remember: false });
  await upload.receives(MB / 2);
  assert.deepEqual(await notes(stand.page), []);
  const count = await stand.page.evaluate(() => {
    const noted = { url: "/files/x", way: "ietf", server: dw.defaults.server, name: "x", size: 1, lastModified: 1, kept: 0, holder: "x", paused: false };
    for (let at = 0; at < 120; at += 1) localStorage[`dumbwaiter ${at}`] = JSON.stringify({ ...noted, at: Date.now() - 60_000 - at });
    localStorage["dumbwaiter old"] = JSON.stringify({ ...noted, at: Date.now() - 8 * 86_400_000 });
    localStorage["dumbwaiter torn"] = "{";
    return [dw.unfinished().length, Object.keys(localStorage).filter((key) => key.startsWith("dumbwaiter")).length, "dumbwaiter old" in localStorage];
  });
  assert.deepEqual(count, [100, 101, false]);
});

test("the same file twice in one page goes up once at a time", async (t) => {
  const { stand, upload } = await begun(t);
  const twin = following(stand.page, await stand.page.evaluate(() => window.begin(document.getElementById("file").files[0])));
  await twin.is("uploading", "elsewhere");
  stand.line.flow();
  assert.deepEqual([(await upload.done()).id], [(await twin.done()).id]);
  assert.deepEqual(stand.server.stored(), ["paella.bin"]);
});
