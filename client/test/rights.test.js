/** Rights as a browser meets them: the cookie, the token's login, foreign pages, the secret link. */
import assert from "node:assert/strict";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { browser, file, folder, open, rowIs, serve } from "./support.js";

const TOKEN = "a-token-of-some-length";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

/** An empty page of another origin. */
async function elsewhere(t) {
  const server = createServer((_, answer) => answer.writeHead(200, { "content-type": "text/html" }).end("<!doctype html>"));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return `http://127.0.0.1:${server.address().port}`;
}

/** Posts a form with one file by script, and says what the page gets to know of the answer. */
function post(page, url, credentials = "omit") {
  return page.evaluate(async ([url, credentials]) => {
    const form = new FormData();
    form.append("f", new File(["12345"], "a.txt"));
    try {
      const answer = await fetch(url, { method: "POST", body: form, credentials });
      return { status: answer.status, location: answer.headers.get("location"), ...(await answer.json()) };
    } catch (error) {
      return { error: error.name };
    }
  }, [url, credentials]);
}

test("what the page sends belongs to the browser's cookie, which no script can read", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  const [cookie] = await page.context().cookies();
  assert.deepEqual([cookie.name, cookie.httpOnly, cookie.sameSite], ["dw", true, "Lax"]);
  assert.equal(await page.evaluate(() => document.cookie), "");
  const posted = page.waitForRequest((request) => request.method() === "POST");
  await page.setInputFiles("#file", file(folder(t), "notes.txt", 1000).path);
  await rowIs(page, "notes.txt", "done");
  const look = `${server.url}uploads${new URL((await posted).url()).search}`;
  assert.match(look, /X-Progress-ID=[0-9a-f]{32}$/);
  const mine = await (await page.request.get(look)).json();
  assert.equal(mine[0].files[0].name, "notes.txt");
  const other = await chrome.newContext();
  t.after(() => other.close());
  assert.deepEqual(await (await other.request.get(look)).json(), [null]);
  await page.reload();
  assert.deepEqual((await page.context().cookies()).map((one) => one.value), [cookie.value]);
});

test("with a token the page is for who logs in, and then it uploads", async (t) => {
  const path = join(folder(t), "tokens");
  writeFileSync(path, `${TOKEN}\n`);
  chmodSync(path, 0o600);
  const server = await serve(t, "--token", path);
  const stranger = await chrome.newContext();
  t.after(() => stranger.close());
  assert.equal((await stranger.request.get(server.url)).status(), 401);
  const page = await open(t, chrome, server.url, { httpCredentials: { username: "anybody", password: TOKEN } });
  const sent = file(folder(t), "notes.txt", 1000);
  await page.setInputFiles("#file", sent.path);
  await rowIs(page, "notes.txt", "done");
  assert.ok(server.read("notes.txt").equals(sent.bytes));
});

test("a foreign page can neither post a form nor read what it was told", async (t) => {
  const server = await serve(t, "--allow-origin", "https://app.example");
  const page = await open(t, chrome, await elsewhere(t));
  assert.deepEqual(await post(page, `${server.url}upload`), { error: "TypeError" });
  const answered = page.waitForResponse((answer) => answer.url().endsWith("/upload") && answer.request().method() === "POST");
  await page.evaluate((url) => {
    document.body.innerHTML = `<form method="post" enctype="multipart/form-data" action="${url}upload"><input name="a" value="1"></form>`;
    document.forms[0].submit();
  }, server.url);
  assert.equal((await answered).status(), 403);
  assert.deepEqual(server.stored(), []);
});

test("a page of a named origin uploads, and reads refusals too", async (t) => {
  const origin = await elsewhere(t);
  const server = await serve(t, "--allow-origin", origin);
  const page = await open(t, chrome, origin);
  const done = await post(page, `${server.url}upload`, "include");
  assert.deepEqual([done.status, done.location], [201, done.url]);
  assert.equal((await post(page, `${server.url}get_upload_progress`, "include")).code, "method_not_allowed");
});

test("a page of this machine uploads to a server that listens for it alone", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, await elsewhere(t));
  assert.equal((await post(page, `${server.url}upload`)).status, 201);
});

test("under a secret link the page works, cookie and all", async (t) => {
  const server = await serve(t, "--secret-link");
  assert.ok(server.url.includes(readFileSync(join(server.dir, ".dumbwaiter/secret-link"), "utf8")));
  const page = await open(t, chrome, server.url);
  const [cookie] = await page.context().cookies();
  assert.equal(cookie.path, new URL(server.url).pathname);
  const sent = file(folder(t), "notes.txt", 1000);
  await page.setInputFiles("#file", sent.path);
  await rowIs(page, "notes.txt", "done");
  const link = page.getByRole("link", { name: "Open notes.txt" });
  const answer = await page.request.get(new URL(await link.getAttribute("href"), server.url).href);
  assert.ok((await answer.body()).equals(sent.bytes));
});
