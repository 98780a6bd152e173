/** The page on bad days: cancelled, refused, cut, offline. Each ends in words, and nothing half-stored is left. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { rmSync, utimesSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { MB, browser, file, folder, open, row, rowIs, serve, serveByName, slow, until, watch, wire, words } from "./support.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

/** The name of what has the focus, as a screen reader would say it. */
const focused = (page) => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.id);

test("cancel stops the upload here and there, and leaves nothing behind", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  await slow(page, 1 * MB);
  await page.setInputFiles("#file", file(folder(t), "big.bin", 20 * MB).path);
  await until(() => words(page, "big.bin"), (text) => /^[1-9].* of 20 MB · /.test(text));
  assert.ok(await page.evaluate(() => !dispatchEvent(new Event("beforeunload", { cancelable: true }))), "leaving was not asked about");
  await page.getByRole("button", { name: "Cancel big.bin" }).click();
  assert.equal(await words(page, "big.bin"), "× Cancelled. Nothing of it is kept.");
  const id = new URL(page.streams[0]).searchParams.get("id");
  const record = await until(async () => (await page.request.get(`${server.url}uploads/${id}`)).json(), (answer) => answer.state === "error");
  assert.equal(record.error.code, "cancelled");
  await until(server.stored, (names) => names.length === 0);
  assert.ok(await page.evaluate(() => dispatchEvent(new Event("beforeunload", { cancelable: true }))));
});

test("after cancel the focus goes to the next row's button, else to the input, and Remove takes the row away", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  await slow(page, 1 * MB);
  const dir = folder(t);
  await page.setInputFiles("#file", ["one.bin", "two.bin"].map((name) => file(dir, name, 20 * MB).path));
  await page.getByRole("button", { name: "Cancel one.bin" }).focus();
  await page.keyboard.press("Enter");
  assert.equal(await focused(page), "Cancel two.bin");
  await page.keyboard.press("Enter");
  assert.equal(await focused(page), "file");
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "all");
  for (const name of ["Retry one.bin", "Remove one.bin"]) {
    await page.keyboard.press("Tab");
    assert.equal(await focused(page), name);
  }
  await page.keyboard.press("Enter");
  assert.equal(await row(page, "one.bin").count(), 0);
  assert.equal(await focused(page), "Retry two.bin");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator(".row").count(), 0);
  assert.equal(await focused(page), "file");
  assert.ok(await page.locator("#total").isHidden());
});

test("when the total falls because a file is left out, words beside it say so at once", async (t) => {
  const server = await serve(t, "--on-conflict", "reject");
  const page = await open(t, chrome, server.url);
  await slow(page, 1 * MB);
  const dir = folder(t);
  const soup = file(dir, "soup.txt", 100);
  await page.setInputFiles("#file", soup.path);
  await rowIs(page, "soup.txt", "done");
  await page.setInputFiles("#file", ["one.bin", "two.bin"].map((name) => file(dir, name, 20 * MB).path));
  const total = () => page.locator("#total .words").innerText().then((text) => text.replaceAll("\u00a0", " "));
  assert.match(await total(), /^1 of 3 files · .* of 40 MB/);
  const fallen = await page.getByRole("button", { name: "Cancel one.bin" }).evaluate((button) => {
    button.click();
    return document.querySelector("#total .words").innerText.replaceAll("\u00a0", " ");
  });
  assert.match(fallen, /^1 of 2 files · 1 cancelled · .* of 20 MB/);
  assert.match(await page.locator("#total .bar").getAttribute("aria-valuetext"), /^\d+ percent, 1 cancelled/);
  await page.setInputFiles("#file", soup.path);
  await page.locator(".row.error").waitFor();
  assert.match(await total(), /^1 of 2 files · 1 failed · 1 cancelled · .* of 20 MB/);
});

test("a key held down on Cancel cancels one file, not all of them", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  await slow(page, 1 * MB);
  const dir = folder(t);
  await page.setInputFiles("#file", ["one.bin", "two.bin", "three.bin"].map((name) => file(dir, name, 20 * MB).path));
  await page.getByRole("button", { name: "Cancel one.bin" }).focus();
  for (let beat = 0; beat < 4; beat += 1) await page.keyboard.down("Enter");
  assert.equal(await page.locator(".row.cancelled").count(), 1);
  await page.keyboard.up("Enter");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator(".row.cancelled").count(), 2);
});

test("a refusal is said in words with its code, once aloud, and the other files go on", async (t) => {
  const server = await serve(t, "--on-conflict", "reject");
  const page = await open(t, chrome, server.url);
  const dir = folder(t);
  const soup = file(dir, "soup.txt", 100);
  await page.setInputFiles("#file", soup.path);
  await rowIs(page, "soup.txt", "done");
  const seen = await watch(page);
  await page.setInputFiles("#file", [soup.path, file(dir, "salad.txt", 100).path]);
  await rowIs(page, "salad.txt", "done");
  await rowIs(page, "soup.txt", "error");
  const said = "A file of that name is here already. Nothing of it is kept. Rename yours and choose it again.";
  assert.equal((await page.locator(".row.error .status").innerText()).trim(), `! ${said} name_taken`);
  await until(async () => (await seen()).alerts, (alerts) => alerts.length === 1 && alerts[0] === `soup.txt: ${said}`);
  assert.equal(await page.locator("#total .words").innerText(), "2 files have arrived. 1 file did not.");
  assert.deepEqual(server.stored(), ["salad.txt", "soup.txt"]);
});

test("a file that is too large is refused in words by the server too, whether all of it was sent or hardly any", async (t) => {
  const server = await serve(t, "--max-upload-size", "1MB");
  const page = await open(t, chrome, server.url);
  // As if the limit had come after the page.
  await page.route(server.url, async (route) => {
    const answer = await route.fetch();
    const body = (await answer.text()).replace(' data-max-upload-size="1000000"', "");
    await route.fulfill({ response: answer, body });
  });
  await page.reload();
  const dir = folder(t);
  const files = [["larger.bin", 1.5 * MB], ["large.bin", 200 * MB], ["fits.bin", 0.9 * MB]].map(([name, size]) => file(dir, name, size));
  for (const one of files) await page.setInputFiles("#file", one.path);
  await rowIs(page, "fits.bin", "done");
  for (const name of ["larger.bin", "large.bin"]) {
    await rowIs(page, name, "error");
    assert.equal(await words(page, name),
      "! The file is larger than this server takes. Nothing of it is kept. Choose a smaller one. upload_too_large");
  }
  assert.deepEqual(server.stored(), ["fits.bin"]);
});

test("a server that dies mid-way is told in words, what it has is kept, and the upload goes on when it is back", async (t) => {
  const server = await serve(t);
  const line = await wire(t, server);
  const page = await open(t, chrome, line.url);
  await slow(page, 2 * MB);
  const sent = file(folder(t), "one.bin", 20 * MB);
  await page.setInputFiles("#file", sent.path);
  await until(() => words(page, "one.bin"), (text) => /^[3-9]\.\d MB of 20 MB · /.test(text));
  await server.kill();
  await rowIs(page, "one.bin", "interrupted");
  assert.match(await words(page, "one.bin"), /^❙❙ .*\. \d+(\.\d)? MB are kept\.$/);
  await page.locator("#notice", { hasText: "The server does not answer. Sending goes on when it is back." }).waitFor();
  const kept = () => row(page, "one.bin").locator(".bar").evaluate((bar) => parseFloat(bar.style.getPropertyValue("--kept")));
  const before = await kept();
  assert.ok(before > 0 && before < 100, `the bar stands at ${before}`);
  const heads = [];
  page.on("request", (request) => request.method() === "PATCH" && heads.push(Number(request.headers()["upload-offset"])));
  line.lead(await server.again());
  await slow(page, 50 * MB);
  await rowIs(page, "one.bin", "done");
  assert.ok(heads[0] >= 3 * MB, `it went on at ${heads}`);
  assert.ok(server.read("one.bin").equals(sent.bytes));
  assert.ok(await page.locator("#notice").isHidden());
});

test("when the server goes, files wait under one line, and all go on when it is back", async (t) => {
  const server = await serve(t);
  const line = await wire(t, server);
  const page = await open(t, chrome, line.url);
  await slow(page, 1 * MB);
  const dir = folder(t);
  const names = ["a.bin", "b.bin", "c.bin", "d.bin", "e.bin", "f.bin"];
  await page.setInputFiles("#file", names.map((name) => file(dir, name, 2 * MB).path));
  await until(() => words(page, "a.bin"), (text) => /^[1-9].* of 2\.0 MB · /.test(text));
  const seen = await watch(page);
  await line.close();
  await page.locator("#notice", { hasText: "The server does not answer. Sending goes on when it is back." }).waitFor();
  assert.deepEqual(await page.locator(".row.interrupted .name").evaluateAll((rows) => rows.map((row) => row.title)), names.slice(0, 3));
  assert.equal(await page.locator(".row.waiting").count(), 3);
  // Whoever comes now waits too.
  await page.setInputFiles("#file", file(dir, "g.bin", 1000).path);
  await rowIs(page, "g.bin", "waiting");
  await slow(page, 50 * MB);
  await line.listen();
  for (const name of [...names, "g.bin"]) await rowIs(page, name, "done");
  assert.ok(await page.locator("#notice").isHidden());
  const { spoken, alerts } = await seen();
  assert.deepEqual(spoken.slice(0, 3), ["The server does not answer. Sending goes on when it is back.", "1 file more.", "The server is back. Sending goes on."]);
  assert.deepEqual(alerts, []);
  assert.deepEqual(server.stored(), [...names, "g.bin"]);
});

test("a server that has no place left is not called away: the file says so, and goes when there is one", async (t) => {
  const server = await serve(t, "--max-uploads", "1");
  const page = await open(t, chrome, server.url);
  const other = connect(new URL(server.url).port, "127.0.0.1");
  t.after(() => other.destroy());
  other.write("PUT /files/slow.bin HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  const [told] = await once(other, "data");
  assert.match(`${told}`, /^HTTP\/1\.1 100/, "it has the place");
  await page.setInputFiles("#file", file(folder(t), "soup.txt", 1000).path);
  await until(() => words(page, "soup.txt"), (text) => text === "○ The server has too much to do. · 1.0 kB");
  // Longer than a line may be broken without a word.
  await page.waitForTimeout(4000);
  assert.ok(await page.locator("#notice").isHidden());
  other.write("slow!");
  await rowIs(page, "soup.txt", "done");
});

test("files that find no server wait for it, are cancelled all at once, and sent with one button", async (t) => {
  const server = await serve(t);
  const line = await wire(t, server);
  const page = await open(t, chrome, line.url);
  await line.close();
  const dir = folder(t);
  await page.setInputFiles("#file", ["a.bin", "b.bin"].map((name) => file(dir, name, 1000).path));
  await page.locator("#notice", { hasText: "The server does not answer." }).waitFor();
  assert.equal(await page.locator(".row.waiting").count(), 2);
  assert.equal(await page.locator(".row.error").count(), 0);
  await page.getByRole("button", { name: "Cancel all" }).click();
  assert.ok(await page.locator("#notice").isHidden());
  await line.listen();
  await page.getByRole("button", { name: "Retry all" }).click();
  for (const name of ["a.bin", "b.bin"]) await rowIs(page, name, "done");
});

test("offline is one line on top, and the files that wait go when the line is back", async (t) => {
  const server = await serveByName(t);
  const page = await open(t, chrome, server.url);
  const seen = await watch(page);
  await page.context().setOffline(true);
  await page.locator("#notice", { hasText: "You are offline." }).waitFor();
  await page.setInputFiles("#file", file(folder(t), "later.txt", 10).path);
  assert.match(await words(page, "later.txt"), /^○ Waiting/);
  await page.context().setOffline(false);
  await rowIs(page, "later.txt", "done");
  assert.ok(await page.locator("#notice").isHidden());
  const { spoken, alerts } = await seen();
  assert.deepEqual(spoken, [
    "You are offline. Sending goes on when the connection is back.", "Sending 1 file.", "You are online again. Sending goes on.",
    "1 file has arrived. You can close this page.",
  ]);
  assert.deepEqual(alerts, []);
});

test("a server on this machine is there without a network", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  await page.evaluate(() => Object.defineProperty(navigator, "onLine", { value: false }));
  await page.evaluate(() => dispatchEvent(new Event("offline")));
  assert.ok(await page.locator("#notice").isHidden());
  await page.setInputFiles("#file", file(folder(t), "here.txt", 10).path);
  await rowIs(page, "here.txt", "done");
});

test("what the break of the line cut waits, says so and what is kept, and goes on from there by itself", async (t) => {
  const server = await serveByName(t);
  const line = await wire(t, server);
  const page = await open(t, chrome, line.url);
  await slow(page, 3 * MB);
  const sent = file(folder(t), "long.bin", 12 * MB);
  await page.setInputFiles("#file", sent.path);
  await until(() => words(page, "long.bin"), (text) => /^[4-9]\.\d MB of 12 MB · /.test(text));
  await page.context().setOffline(true);
  await rowIs(page, "long.bin", "interrupted");
  assert.match(await words(page, "long.bin"), /^❙❙ Waiting for the connection\. \d+(\.\d)? MB are kept\.$/);
  assert.ok(await page.locator(".lift.still").isVisible());
  const heads = [];
  page.on("request", (request) => request.method() === "PATCH" && heads.push(Number(request.headers()["upload-offset"])));
  line.cut();
  line.mend();
  await page.context().setOffline(false);
  await slow(page, 50 * MB);
  await rowIs(page, "long.bin", "done");
  assert.ok(heads[0] >= 4 * MB, `it went on at ${heads}`);
  assert.ok(server.read("long.bin").equals(sent.bytes));
  assert.deepEqual(server.stored(), ["long.bin"]);
});

test("a line without a byte for some seconds is said to be silent, and shows no speed", async (t) => {
  const server = await serve(t);
  const line = await wire(t, server);
  const page = await open(t, chrome, line.url);
  await slow(page, 1 * MB);
  await page.setInputFiles("#file", file(folder(t), "long.bin", 30 * MB).path);
  await until(() => words(page, "long.bin"), (text) => /^[1-9].* of 30 MB · .*\/s/.test(text));
  line.hold();
  await until(() => words(page, "long.bin"), (text) => /^Waiting for the connection\. · \S+ [kM]B of 30 MB$/.test(text));
  await until(() => page.locator("#total .words").innerText(), (text) => !text.includes("/s"));
  assert.match(await row(page, "long.bin").locator(".bar").getAttribute("aria-valuetext"), /^Waiting for the connection\.$/);
  line.flow();
  await until(() => words(page, "long.bin"), (text) => /^[1-9].* of 30 MB · .*\/s/.test(text));
});

test("a paused file rests without a line, keeps what is there, and goes on from there", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  await slow(page, 2 * MB);
  const sent = file(folder(t), "rest.bin", 12 * MB);
  await page.setInputFiles("#file", sent.path);
  await until(() => words(page, "rest.bin"), (text) => /^[3-9]\.\d MB of 12 MB · /.test(text));
  await page.getByRole("button", { name: "Pause rest.bin" }).focus();
  await page.keyboard.press("Enter");
  assert.equal(await focused(page), "Resume rest.bin");
  assert.match(await words(page, "rest.bin"), /^❙❙ Paused\. \d+(\.\d)? MB are kept\.$/);
  const id = new URL(page.streams[0]).searchParams.get("id");
  const { offset } = await until(async () => (await page.request.get(`${server.url}uploads/${id}`)).json(), (record) => record.state === "interrupted");
  const heads = [];
  page.on("request", (request) => request.method() === "PATCH" && heads.push(Number(request.headers()["upload-offset"])));
  await slow(page, 50 * MB);
  await page.keyboard.press("Enter");
  await rowIs(page, "rest.bin", "done");
  assert.deepEqual(heads, [offset]);
  assert.ok(server.read("rest.bin").equals(sent.bytes));
  assert.equal(await focused(page), "Open rest.bin");
});

test("all are cancelled with one button, and sent again with it", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  await slow(page, 1 * MB);
  const dir = folder(t);
  const names = ["a.bin", "b.bin", "c.bin", "d.bin", "e.bin"];
  await page.setInputFiles("#file", names.map((name) => file(dir, name, 1 * MB).path));
  let posts = 0;
  page.on("request", (request) => { posts += request.method() === "POST"; });
  await page.getByRole("button", { name: "Cancel all" }).click();
  assert.equal(await page.locator(".row.cancelled").count(), 5);
  assert.equal(posts, 0, "one that waited began when another was cancelled");
  assert.equal(await page.locator("#total .words").innerText(), "Nothing was sent.");
  await page.getByRole("button", { name: "Retry all" }).click();
  await until(() => page.locator(".row.done").count(), (count) => count === 5);
  assert.deepEqual(server.stored(), names);
  assert.ok(await page.locator("#all").isHidden());
});

test("no retry is offered where it cannot help", async (t) => {
  const server = await serve(t, "--on-conflict", "reject");
  const page = await open(t, chrome, server.url);
  const soup = file(folder(t), "soup.txt", 100);
  for (const state of ["done", "error"]) {
    await page.setInputFiles("#file", soup.path);
    await rowIs(page, "soup.txt", state);
  }
  assert.deepEqual(await page.locator(".row.error button:visible").allInnerTexts(), ["Remove"]);
});

test("a file that changed after it was chosen is told apart from a broken line", async (t) => {
  const server = await serveByName(t);
  const page = await open(t, chrome, server.url);
  await page.context().setOffline(true);
  const draft = file(folder(t), "draft.txt", 1000);
  await page.setInputFiles("#file", draft.path);
  writeFileSync(draft.path, "shorter");
  // Chromium compares whole seconds.
  utimesSync(draft.path, 1e9, 1e9);
  await page.context().setOffline(false);
  await rowIs(page, "draft.txt", "error");
  assert.equal(await words(page, "draft.txt"),
    "! The file has changed or cannot be read any more. Nothing of it is kept. Choose it again. file_unreadable");
  await until(server.stored, (names) => names.length === 0);
});

test("what another server answers in the place of ours is no arrival", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  const one = file(folder(t), "one.bin", 1000);
  for (const [contentType, body] of [["text/html", "<h1>Welcome to the hotel</h1>"], ["application/json", '{"login":"needed"}'], ["application/json", "null"]]) {
    await page.route("**/upload?*", (route) => route.fulfill({ status: 200, contentType, body }));
    await page.setInputFiles("#file", one.path);
    await rowIs(page, "one.bin", "error");
    assert.match(await words(page, "one.bin"), /^! Something on the way answered .* foreign_answer$/);
    await page.unroute("**/upload?*");
    await page.getByRole("button", { name: "Retry one.bin" }).click();
    await rowIs(page, "one.bin", "done");
    assert.deepEqual(server.stored(), ["one.bin"]);
    await page.reload();
    rmSync(join(server.dir, "one.bin"));
  }
});

test("when the button for all goes, the focus stays among the rows", async (t) => {
  const server = await serveByName(t);
  const page = await open(t, chrome, server.url);
  await slow(page, MB);
  const dir = folder(t);
  await page.setInputFiles("#file", [file(dir, "short.bin", MB / 2).path, file(dir, "long.bin", 8 * MB).path]);
  await page.locator("#all").focus();
  await rowIs(page, "short.bin", "done");
  await page.locator("#all").waitFor({ state: "hidden" });
  assert.match(await focused(page), /^(Open short|Cancel long)\.bin$/);
});
