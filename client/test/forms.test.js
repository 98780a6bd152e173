/** Forms as a browser sends them: without script, captured byte for byte, and through jQuery Form's iframe. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { browser, file, folder, open, serve } from "./support.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

test("without script the form posts, and the answer is a page to read", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url, { javaScriptEnabled: false });
  assert.equal(await page.locator("label").innerText(), "Choose files");
  const dir = folder(t);
  const sent = [file(dir, "paella.jpg", 1000), file(dir, "&lt;b&gt;料理.txt", 10)];
  await page.setInputFiles("#file", sent.map((one) => one.path));
  const posted = page.waitForRequest((request) => request.method() === "POST");
  await page.getByRole("button", { name: "Send" }).click();
  await page.waitForURL(/upload$/);
  assert.equal((await (await posted).allHeaders()).origin, new URL(server.url).origin);
  const text = await page.locator("body").innerText();
  assert.match(text, /2 files have arrived/);
  for (const { name, bytes } of sent) {
    assert.ok(server.read(name).equals(bytes));
    assert.ok(text.includes(name), `${name} is not in: ${text}`);
    assert.equal(await page.locator("bdi", { hasText: name }).count(), 1);
    const href = await page.getByRole("link", { name }).getAttribute("href");
    assert.ok((await (await page.request.get(new URL(href, page.url()).href)).body()).equals(bytes));
  }
});

/** A page whose form has what browsers write in ways of their own. */
const ODD_FORM = `<!doctype html><meta charset="utf-8"><form method="post" enctype="multipart/form-data">
  <input name='dish "of the day"' value='rice &amp; "beans"'><textarea name="notes"></textarea>
  <input name="two&#10;lines" value="x"><input name="🥘" value="saffron"><input name="" value="a field without a name is not sent">
  <input name="tag" value="first"><input name="tag" value=""><input name="%22" value="100 %">
  <input type="file" name='pic"tures[]' id="several" multiple><input type="file" name="none" id="none"><button>Go</button></form>`;

const ODD_FILES = [
  { name: 'paella "valenciana".jpg', mimeType: "image/jpeg", buffer: Buffer.from("\r\n--\r\n\r\n------WebKitFormBoundary\r\n") },
  { name: "🥘 emoji.png", mimeType: "image/png", buffer: Buffer.alloc(0) },
  { name: "100 %22 per; cent.txt", mimeType: "text/plain", buffer: Buffer.from("料理") },
];

/** Takes posted bodies as they come off the wire. */
async function recorder(t) {
  const bodies = [];
  const server = createServer(async (request, answer) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    if (request.method === "POST") bodies.push({ type: request.headers["content-type"], bytes: Buffer.concat(chunks) });
    answer.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(ODD_FORM);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${server.address().port}/`, bodies };
}

/** Fills the odd form in and sends it: by the browser itself, or by script. */
async function sendOdd(page, way) {
  await page.setInputFiles("#several", ODD_FILES);
  await page.locator("textarea").fill("one\ntwo\n");
  if (way === "submit") return Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "Go" }).click()]);
  return page.evaluate(() => fetch("/", { method: "POST", body: new FormData(document.querySelector("form")) }));
}

for (const way of ["submit", "fetch"]) {
  test(`a captured body of an odd form (${way}), posted byte for byte, gives its fields and files`, async (t) => {
    const wire = await recorder(t);
    const page = await open(t, chrome, wire.url);
    await sendOdd(page, way);
    const [{ type, bytes }] = wire.bodies;
    const dir = folder(t);
    writeFileSync(join(dir, "body"), bytes);
    const server = await serve(t);
    const answer = await fetch(`${server.url}upload`, {
      method: "POST", headers: { "content-type": type, accept: "application/json" }, body: readFileSync(join(dir, "body")),
    });
    assert.equal(answer.status, 201);
    const record = await answer.json();
    // As the browser wrote them: `"` and line ends are percent-encoded, `%` is not, so that decoding would be a guess.
    assert.deepEqual(record.fields, {
      "dish %22of the day%22": 'rice & "beans"', notes: "one\r\ntwo\r\n", "two%0D%0Alines": "x", "🥘": "saffron", tag: ["first", ""], "%22": "100 %",
    });
    assert.deepEqual(record.files.map(({ field, type, length }) => ({ field, type, length })),
      ODD_FILES.map(({ mimeType, buffer }) => ({ field: "pic%22tures[]", type: mimeType, length: buffer.length })));
    assert.deepEqual(record.files.map((one) => one.name), ["paella %22valenciana%22.jpg", "🥘 emoji.png", "100 %22 per; cent.txt"]);
    for (const [i, { buffer }] of ODD_FILES.entries()) assert.ok(server.read(record.files[i].name).equals(buffer));
    assert.equal(record.received, bytes.length);
    assert.equal(record.length, bytes.length);
  });
}

/** Sends one file by jQuery Form's iframe mode from a page beside ours, and tells what its callback got. */
async function throughIframe(t, server, dataType, path) {
  const page = await open(t, chrome, server.url);
  const html = `<!doctype html><form id="f" action="upload" method="post"><input type="file" name="picture" id="picture"><input type="hidden" name="id" value="7"></form>`;
  await page.route("**/beside", (route) => route.fulfill({ contentType: "text/html", body: html }));
  await page.goto(`${server.url}beside`);
  for (const name of ["jquery/dist/jquery.js", "jquery-form/dist/jquery.form.min.js"])
    await page.addScriptTag({ content: readFileSync(new URL(`../node_modules/${name}`, import.meta.url), "utf8") });
  await page.setInputFiles("#picture", path);
  return page.evaluate((dataType) => new Promise((resolve) => {
    const read = (data) => dataType === "json" ? data
      : Object.fromEntries(["state", "received", "code"].map((name) => [name, window.jQuery(data).find(`upload ${name}`).first().text()]));
    window.jQuery("#f").ajaxSubmit({
      iframe: true, dataType, url: "upload?X-Progress-ID=0.42",
      success: (data, _, xhr) => resolve({ ok: true, status: xhr.status, data: read(data) }),
      error: (xhr, _, problem) => resolve({ ok: false, status: xhr.status, text: xhr.responseText, problem: String(problem) }),
    });
  }), dataType);
}

test("jQuery Form's iframe mode reads our answer as JSON", async (t) => {
  const server = await serve(t);
  const sent = file(folder(t), 'a <i> & "b".txt', 500);
  const { ok, data } = await throughIframe(t, server, "json", sent.path);
  assert.ok(ok);
  assert.equal(data.state, "done");
  assert.equal(data.fields.id, "7");
  assert.ok(server.read(data.files[0].name).equals(sent.bytes));
});

test("jQuery Form's iframe mode reads our answer as XML", async (t) => {
  const server = await serve(t);
  const { ok, data } = await throughIframe(t, server, "xml", file(folder(t), "a.txt", 500).path);
  assert.ok(ok);
  assert.equal(data.state, "done");
  assert.ok(Number(data.received) > 500);
});

test("jQuery Form's iframe mode sees a refusal as an error with its status", async (t) => {
  const server = await serve(t, "--on-conflict", "reject");
  const path = file(folder(t), "twice.txt", 5).path;
  assert.ok((await throughIframe(t, server, "json", path)).ok);
  const { ok, status, text } = await throughIframe(t, server, "json", path);
  assert.equal(ok, false);
  assert.equal(status, 409);
  assert.equal(JSON.parse(text).error.code, "name_taken");
});
