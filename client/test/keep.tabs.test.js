/** Tabs that share an upload: none fights for it, and what one page says of it holds for all. */
import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { MB, browser, slow, until } from "./support.js";
import { dish, following, send, stage } from "./support/module.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

/** Another tab of the same browser, on the same page. */
async function another(stand, script) {
  const page = await stand.page.context().newPage();
  if (script) await page.addInitScript(script);
  await page.goto(stand.line.url);
  await page.waitForFunction(() => window.dw);
  return { ...stand, page, patches: patchesOf(page) };
}

/** Where each request with bytes begins, from now on. */
function patchesOf(page) {
  const patches = [];
  page.on("request", (request) => request.method() === "PATCH" && patches.push(Number(request.headers()["upload-offset"])));
  return patches;
}

/** Sends one of twelve megabytes and then goes slowly. */
async function begun(t, options) {
  const stand = await stage(t, chrome, options);
  await slow(stand.page, 2 * MB);
  // However slow the machine is, it does not end before the line lets it.
  stand.line.each(6 * MB);
  const sent = dish(stand, "paella.bin", 12 * MB);
  const upload = await send(stand, sent);
  await upload.keeps(MB);
  return { stand, sent, upload };
}

const noted = (page) => page.evaluate(() => Object.entries(localStorage).filter(([key]) => key.startsWith("dumbwaiter ")).map(([key, text]) => ({ key, ...JSON.parse(text) })));

test("a tab that others took for dead follows the one that took over, and nobody fights", async (t) => {
  const { stand, sent, upload } = await begun(t);
  const patches = patchesOf(stand.page);
  const second = await another(stand);
  // Such a note is left by a page whose clock the browser has stopped.
  await slow(second.page, 2 * MB);
  await second.page.setInputFiles("#file", sent.path);
  const at = await second.page.evaluate(() => {
    const key = Object.keys(localStorage).find((key) => key.startsWith("dumbwaiter "));
    localStorage[key] = JSON.stringify({ ...JSON.parse(localStorage[key]), at: Date.now() - 3_600_000 });
    return window.begin(document.getElementById("file").files[0]);
  });
  const other = following(second.page, at);
  await upload.is("uploading", "elsewhere");
  stand.line.flow();
  assert.deepEqual([(await upload.done()).state, (await other.done()).state], ["done", "done"]);
  assert.equal(second.patches.length, 1);
  assert.deepEqual(patches, [], "the first one sent again");
  assert.equal((await upload.states()).filter((state) => state === "interrupted").length, 1);
  assert.ok(stand.server.read("paella.bin").equals(sent.bytes));
});

test("a page whose clock hardly ticks still tells others by its bytes that it sends", async (t) => {
  const stand = await stage(t, chrome);
  await slow(stand.page, 2 * MB);
  // As Chromium does to pages that are hidden for long.
  await stand.page.evaluate(() => { window.setInterval = () => 0; });
  const upload = await send(stand, dish(stand, "paella.bin", 12 * MB));
  await upload.keeps(MB);
  const [{ at }] = await noted(stand.page);
  await until(() => noted(stand.page), ([note]) => note.at > at);
});

test("a pause in the tab that only follows stops the one that sends", async (t) => {
  const { stand, sent, upload } = await begun(t);
  const second = await another(stand);
  const other = await send(second, sent);
  await other.is("uploading", "elsewhere");
  await other.pause();
  await upload.is("paused");
  await other.is("paused");
  stand.line.flow();
  await upload.resume();
  assert.equal((await upload.done()).state, "done");
  assert.ok(stand.server.read("paella.bin").equals(sent.bytes));
});

test("what was paused is there after a reload, and goes on from its place", async (t) => {
  const { stand, sent, upload } = await begun(t);
  await upload.pause();
  await stand.page.reload();
  stand.line.flow();
  await stand.page.waitForFunction(() => window.dw);
  const [rest] = await stand.page.evaluate(() => dw.unfinished());
  assert.ok(rest.kept >= MB && rest.paused, JSON.stringify(rest));
  const patches = patchesOf(stand.page);
  const again = await send(stand, sent);
  assert.equal((await again.done()).state, "done");
  assert.ok(patches.length === 1 && patches[0] >= MB, `${patches}`);
});

test("a server that is named by its path alone has its unfinished uploads too", async (t) => {
  const { stand, upload } = await begun(t);
  await upload.pause();
  assert.equal(await stand.page.evaluate(() => dw.unfinished("/").length), 1);
  assert.equal(await stand.page.evaluate(() => dw.unfinished("/elsewhere/").length), 0);
});

test("what somebody cancelled while the page was away begins anew, since the file was chosen again", async (t) => {
  const { stand, sent } = await begun(t);
  await stand.page.reload();
  stand.line.flow();
  await stand.page.waitForFunction(() => window.dw);
  const [{ url }] = await noted(stand.page);
  assert.equal((await fetch(url, { method: "DELETE" })).status, 204);
  await until(async () => (await fetch(url.replace("/files/", "/uploads/"))).json(), ({ state }) => state === "error");
  const patches = patchesOf(stand.page);
  const again = await send(stand, sent);
  assert.equal((await again.done()).state, "done");
  assert.ok((await again.changes()).some(({ reason }) => reason === "restarted"));
  assert.deepEqual(patches, [0]);
});

test("what came to its end while the page was away is not sent again", async (t) => {
  const { stand, sent, upload } = await begun(t);
  await upload.pause();
  const [{ url }] = await noted(stand.page);
  await stand.page.reload();
  stand.line.flow();
  await stand.page.waitForFunction(() => window.dw);
  const { headers } = await fetch(url, { method: "HEAD" });
  const offset = Number(headers.get("Upload-Offset"));
  const fields = { "Upload-Offset": `${offset}`, "Upload-Complete": "?1", "Content-Type": "application/partial-upload" };
  assert.equal((await fetch(url, { method: "PATCH", headers: fields, body: sent.bytes.subarray(offset) })).status, 201);
  const patches = patchesOf(stand.page);
  const again = await send(stand, sent);
  assert.equal((await again.done()).state, "done");
  assert.deepEqual(patches, []);
  assert.deepEqual(stand.server.stored(), ["paella.bin"]);
  assert.deepEqual(await noted(stand.page), []);
});

test("after a reload the server's limit of one request still holds", async (t) => {
  const { stand, sent } = await begun(t, { flags: ["--max-request-size", "4MB"] });
  await stand.page.reload();
  stand.line.flow();
  await stand.page.waitForFunction(() => window.dw);
  const patches = patchesOf(stand.page);
  const again = await send(stand, sent);
  assert.equal((await again.done()).state, "done");
  assert.ok(patches.length >= 2 && patches[0] >= MB, `${patches}`);
  assert.ok(stand.server.read("paella.bin").equals(sent.bytes));
});

test("the same file twice at the same moment is one upload on the server", async (t) => {
  const stand = await stage(t, chrome);
  await stand.page.setInputFiles("#file", dish(stand, "paella.bin", 3 * MB).path);
  const ids = await stand.page.evaluate(() => {
    const [file] = document.getElementById("file").files;
    return Promise.all([dw.upload(file).done, dw.upload(file).done].map((done) => done.then(({ id }) => id)));
  });
  assert.equal(ids[0], ids[1]);
  assert.deepEqual(stand.server.stored(), ["paella.bin"]);
  await until(async () => (await noted(stand.page)).length, (count) => count === 0);
});

test("when the sending tab has to begin anew, the other one follows it there", async (t) => {
  const { stand, sent, upload } = await begun(t);
  const second = await another(stand);
  const other = await send(second, sent);
  await other.is("uploading", "elsewhere");
  await stand.server.kill();
  for (const name of readdirSync(stand.server.dir)) rmSync(join(stand.server.dir, name), { recursive: true });
  stand.line.lead(await stand.server.again());
  stand.line.flow();
  const [one, two] = [await upload.done(), await other.done()];
  assert.deepEqual([one.state, two.state, two.id], ["done", "done", one.id]);
  assert.ok((await upload.changes()).concat(await other.changes()).some(({ reason }) => reason === "restarted"));
  assert.deepEqual(stand.server.stored(), ["paella.bin"]);
  assert.ok(stand.server.read("paella.bin").equals(sent.bytes));
});

test("notes of uploads that nobody goes on with are bounded, though no page asks for them", async (t) => {
  const stand = await stage(t, chrome);
  await stand.page.evaluate(() => {
    const note = { url: "/files/x", way: "ietf", server: dw.defaults.server, name: "x", size: 1, lastModified: 1, kept: 0, holder: "x", paused: false };
    for (let at = 0; at < 120; at += 1) localStorage[`dumbwaiter ${at}`] = JSON.stringify({ ...note, at: Date.now() - 60_000 - at });
  });
  const upload = await send(stand, dish(stand, "paella.bin", 3 * MB));
  await upload.done();
  assert.equal((await noted(stand.page)).length, 100);
});
