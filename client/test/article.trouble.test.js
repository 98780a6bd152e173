/** The article's page on bad days: several uploads at once, tabs that close, refusals, servers and proxies that fail it. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { FLAGS, assertStoredAtTheEnd, closeTab, hundred, newContext, seen, submit, tabOf, visit, words } from "./article.js";
import { MB, file, folder, serve, until } from "./support.js";

// ---- Several at once, and one after another ----------------------------------------------------------------------

test("two uploads at once from the article's page are not mixed, in bytes or in numbers", async (t) => {
  const server = await serve(t, ...FLAGS);
  const context = await newContext(t);
  const dir = folder(t);
  const sent = [file(dir, "a.jpg", 1.5 * MB), file(dir, "b.jpg", 0.75 * MB)];
  const pages = [];
  for (const id of ["12", "13"]) pages.push(await visit(t, server, { context, path: `?id=${id}`, rate: MB / 4 }));
  await Promise.all(pages.map((page, i) => submit(page, sent[i].path)));
  for (const [i, page] of pages.entries()) {
    const bar = await hundred(page);
    assert.ok(bar.length >= 4, `${bar}`);
    const lengths = new Set(page.polls.map((poll) => poll.answer?.length).filter(Number.isInteger));
    assert.equal(lengths.size, 1, "it was told of the other one");
    const [length] = lengths;
    assert.ok(length > sent[i].bytes.length && length < sent[i].bytes.length + 1000, `${length}`);
    assert.ok(server.read(["12", "13"][i]).equals(sent[i].bytes));
  }
  assert.deepEqual(server.stored(), ["12", "13"]);
});

test("of two pictures for one dish at once one stands there, whole", async (t) => {
  const server = await serve(t, ...FLAGS);
  const dir = folder(t);
  const sent = [file(dir, "a.jpg", MB), file(dir, "b.jpg", MB)];
  const pages = [await visit(t, server, { rate: MB }), await visit(t, server, { rate: MB })];
  await Promise.all(pages.map((page, i) => submit(page, sent[i].path)));
  for (const page of pages) await hundred(page);
  assert.deepEqual((await Promise.all(pages.map(seen))).map(({ answers }) => answers.map((answer) => answer.state)), [["done"], ["done"]]);
  assert.deepEqual(server.stored(), ["12"]);
  assert.ok(sent.some(({ bytes }) => server.read("12").equals(bytes)), "a mixture is stored");
});

test("who leaves the article's 'random string' as it is loses no upload, two at once neither", async (t) => {
  const server = await serve(t, ...FLAGS);
  const context = await newContext(t);
  const dir = folder(t);
  const sent = [file(dir, "a.jpg", MB), file(dir, "b.jpg", MB / 2)];
  const pages = [];
  for (const id of ["12", "13"]) {
    const page = await visit(t, server, { context, path: `?id=${id}`, rate: MB / 2 });
    await page.evaluate(() => { window.randomId = () => "random string"; });
    pages.push(page);
  }
  await Promise.all(pages.map((page, i) => submit(page, sent[i].path)));
  for (const [i, page] of pages.entries()) {
    await hundred(page);
    await until(() => words(page), (text) => text.includes("has arrived"));
    assert.ok(server.read(["12", "13"][i]).equals(sent[i].bytes));
    assert.deepEqual((await seen(page)).asked, ["/upload?X-Progress-ID=random string"]);
  }
});

test("a second picture takes the first one's place, from the same page and with one bar", async (t) => {
  const server = await serve(t, ...FLAGS);
  const page = await visit(t, server);
  const dir = folder(t);
  for (const [name, size] of [["first.jpg", 2000], ["second.jpg", 1000]]) {
    const sent = file(dir, name, size);
    await submit(page, sent.path);
    await until(() => words(page), (text) => text.endsWith(`${size.toLocaleString("en")} bytes.`));
    assert.ok(server.read("12").equals(sent.bytes));
    assert.equal(await page.locator("[role=progressbar]").count(), 1);
  }
  assert.deepEqual(server.stored(), ["12"]);
  assert.equal(new Set((await seen(page)).asked).size, 2, "both have one progress id");
  assert.deepEqual((await seen(page)).answers.map((answer) => answer.length), ["2000", "1000"]);
});

test("Submit pressed twice sends the picture twice, and it stands there once and whole", async (t) => {
  const server = await serve(t, ...FLAGS);
  const page = await visit(t, server, { rate: MB / 2 });
  const sent = file(folder(t), "paella.jpg", MB / 2);
  await page.setInputFiles("#picture", sent.path);
  await page.dblclick("#form_submit_button");
  await hundred(page);
  const { asked, answers, errors } = await until(() => seen(page), ({ answers }) => answers.length === 2);
  assert.deepEqual([new Set(asked).size, answers.map((answer) => answer.state), errors], [2, ["done", "done"], []]);
  assert.equal(await page.locator("[role=progressbar]").count(), 1);
  assert.deepEqual(server.stored(), ["12"]);
  assert.ok(server.read("12").equals(sent.bytes));
});

// ---- Bad days ----------------------------------------------------------------------------------------------------

test("of a tab that was closed nothing is stored, and a poll says so", async (t) => {
  const server = await serve(t, ...FLAGS);
  const other = await visit(t, server);
  const closed = await visit(t, server, { tab: await tabOf(other), rate: MB / 10 });
  await submit(closed, file(folder(t), "paella.jpg", 5 * MB).path);
  await until(async () => (await seen(closed)).bar, (bar) => bar.length >= 2);
  const [url] = (await seen(closed)).asked;
  await closeTab(other);
  const poll = () => other.evaluate((url) => window.jQuery.getJSON(url.replace("/upload", "/get_upload_progress")), url);
  const said = await until(poll, (answer) => answer === null || answer.state === "error");
  assert.ok(said.uploaded > 0 && said.uploaded < said.length, JSON.stringify(said));
  assert.equal(said.error, "client_gone");
  assert.deepEqual(server.stored(), []);
});

test("a dish keeps its picture when a second one breaks off, and when the form comes without one", async (t) => {
  const server = await serve(t, ...FLAGS);
  const page = await visit(t, server);
  const dir = folder(t);
  await submit(page);
  await until(() => words(page), (text) => text === "The form has arrived. It held no picture.");
  assert.deepEqual(server.stored(), []);
  const first = file(dir, "first.jpg", 1000);
  await submit(page, first.path);
  await until(() => words(page), (text) => text.includes("1,000 bytes"));
  const closed = await visit(t, server, { tab: await tabOf(page), rate: MB / 10 });
  await submit(closed, file(dir, "second.jpg", 5 * MB).path);
  await until(async () => (await seen(closed)).bar, (bar) => bar.length >= 1);
  assert.equal(server.stored().length, 2, "nothing was under way");
  await closeTab(page);
  await until(() => server.stored(), (stored) => stored.length === 1);
  assert.ok(server.read("12").equals(first.bytes));
  await page.setInputFiles("#picture", []);
  await submit(page);
  await until(() => words(page), (text) => text === "The form has arrived. It held no picture.");
  assert.ok(server.read("12").equals(first.bytes));
});

for (const [how, mode] of [["as it is", {}], ["in iframe mode", { iframe: true }]]) {
  test(`a refusal reaches the article's page ${how} in words, and its bar stays below 100`, async (t) => {
    const server = await serve(t, ...FLAGS, "--max-file-size", "100kB");
    const page = await visit(t, server, { mode, rate: MB / 4 });
    await submit(page, file(folder(t), "paella.jpg", MB / 2).path);
    await until(() => words(page), (text) => /^This did not arrive: the file is larger than the 100 kB/.test(text));
    const { bar, errors, answers } = await seen(page);
    assert.deepEqual([errors, answers], [[413], []]);
    assert.ok(bar.every((value) => value < 100), `${bar}`);
    assert.equal(await page.evaluate(() => window.g_progress_intv), 0);
    assert.deepEqual(server.stored(), []);
  });
}

for (const [how, mode] of [["as it is", {}], ["in iframe mode", { iframe: true }]]) {
  test(`a server that dies is a broken connection to the article's page ${how}, and its bar stays below 100`, async (t) => {
    const server = await serve(t, ...FLAGS);
    const page = await visit(t, server, { mode, rate: MB / 10 });
    await submit(page, file(folder(t), "paella.jpg", 5 * MB).path);
    await until(async () => (await seen(page)).bar, (bar) => bar.length >= 2);
    await server.kill();
    await until(() => words(page), (text) => text === "This did not arrive: the connection to the server broke.");
    assert.ok((await seen(page)).bar.every((value) => value < 100));
  });
}

test("an id that names no file is refused in words", async (t) => {
  const server = await serve(t, ...FLAGS);
  const page = await visit(t, server, { path: "?id=/" });
  await submit(page, file(folder(t), "paella.jpg", 10).path);
  await until(() => words(page), (text) => text.startsWith("This did not arrive: ") && text.includes("name"));
  assert.deepEqual([(await seen(page)).errors.length, server.stored()], [1, []]);
});

/** Answers each poll at once, and holds the upload back until there were some, as a proxy that buffers bodies does. */
async function heldBack(page) {
  await page.route("**/upload?*", async (route) => {
    await until(() => page.polls.length, (polls) => polls >= 3);
    await route.continue();
  });
}

test("where a proxy holds uploads back the bar waits with --poll-unknown wait", async (t) => {
  const server = await serve(t, ...FLAGS, "--poll-unknown", "wait");
  const page = await visit(t, server);
  await heldBack(page);
  const sent = file(folder(t), "paella.jpg", MB);
  await submit(page, sent.path);
  const bar = await hundred(page);
  assert.deepEqual(bar.slice(0, 3), [0, 0, 0]);
  assertStoredAtTheEnd(page.polls, ["12"]);
  assert.ok(server.read("12").equals(sent.bytes));
});

test("where uploads need a token the article's page logs in, and uploads", async (t) => {
  const tokens = join(folder(t), "tokens");
  writeFileSync(tokens, "a-token-of-some-length\n", { mode: 0o600 });
  const server = await serve(t, ...FLAGS, "--token", tokens);
  const context = await newContext(t, { httpCredentials: { username: "cook", password: "a-token-of-some-length" } });
  const page = await visit(t, server, { context });
  await submit(page, file(folder(t), "paella.jpg", 1000).path);
  await hundred(page);
  assert.deepEqual(server.stored(), ["12"]);
});
