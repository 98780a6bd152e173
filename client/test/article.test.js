/** The article's page (examples/article) in Chromium, as a reader copies it, with the real binary as its server. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { BINARY, MB, browser, file, folder, serve, slow, until } from "./support.js";

const HERE = fileURLToPath(new URL("../../examples/article/", import.meta.url));
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const README = readFileSync(`${HERE}README.md`, "utf8");

/** The flags of the plain command in the example's README. */
const FLAGS = /^cargo run --release -- (.*)$/m.exec(README)[1].split(" ")
  .map((word) => word.replace(/^'(.*)'$/, "$1").replace(/^examples\//, `${ROOT}examples/`));

let chrome;
before(async () => {
  const { status, stderr } = spawnSync("npm", ["run", "vendor"], { cwd: HERE, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  chrome = await browser();
});
after(() => chrome?.close());

// ---- A visitor of the page ---------------------------------------------------------------------------------------

/** What is changed from outside before the page's scripts run. */
const faster = () => {
  const real = window.setInterval;
  window.setInterval = (f, ms, ...rest) => real(f, ms === 5000 ? 250 : ms, ...rest);
};
const withoutFormData = () => delete window.FormData;

/** Notes what the bar is told and what the callbacks get; `mode` goes to jQuery Form beside the page's own options. */
function hook(mode) {
  const { progressBar, ajaxSubmit } = window.jQuery.fn;
  const { showResponse, showError } = window;
  window.seen = { bar: [], answers: [], errors: [], asked: [] };
  window.jQuery.fn.progressBar = function (...args) {
    if (args.length) window.seen.bar.push(args[0]);
    return progressBar.apply(this, args);
  };
  window.jQuery.fn.ajaxSubmit = function (options) {
    window.seen.asked.push(options.url);
    return ajaxSubmit.call(this, { ...options, ...mode });
  };
  window.showResponse = (data, ...rest) => {
    const text = (path) => window.jQuery(data).find(path).text();
    window.seen.answers.push({ kind: data.constructor.name, state: text("upload > state"), name: text("file > name"), length: text("file > length") });
    return showResponse(data, ...rest);
  };
  window.showError = (xhr, ...rest) => {
    window.seen.errors.push(xhr.status);
    return showError(xhr, ...rest);
  };
}

/** Opens the page in a tab, throttled where `rate` says so. At the test's end it must have thrown no error. */
async function visit(t, server, { tab, context, path = "", init = [faster], mode = {}, rate } = {}) {
  const page = tab ?? (await (context ?? (await newContext(t))).newPage());
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  t.after(() => assert.deepEqual(problems, []));
  for (const script of init) await page.addInitScript(script);
  await page.goto(server.url + path);
  await page.evaluate(hook, mode);
  page.polls = [];
  page.on("response", (response) => response.url().includes("/get_upload_progress?") && note(page.polls, response, server));
  if (rate) await slow(page, rate);
  return page;
}

/** A tab that `page` opens and can close. (By `page.close()` the throttle ends first, and all the rest goes up at once.) */
async function tabOf(page) {
  const opened = page.context().waitForEvent("page");
  await page.evaluate(() => { window.tab = window.open("about:blank"); });
  return opened;
}

const closeTab = (page) => page.evaluate(() => window.tab.close());

async function newContext(t, options) {
  const context = await chrome.newContext(options);
  t.after(() => context.close());
  return context;
}

/** Notes a poll's answer, when it came, and what was stored by then. */
async function note(polls, response, server) {
  const poll = { stored: server.stored(), at: Date.now() };
  polls.push(poll);
  poll.answer = await response.json().catch(() => "the tab was closed");
}

async function submit(page, path) {
  if (path) await page.setInputFiles("#picture", path);
  await page.click("#form_submit_button");
}

const seen = (page) => page.evaluate(() => window.seen);
const words = (page) => page.locator("#answer").innerText();

/** Waits until the bar is at 100, and gives all that it showed. */
async function hundred(page, patience) {
  await page.waitForFunction(() => window.seen.bar.at(-1) === 100, null, { timeout: patience });
  return (await seen(page)).bar;
}

/** The promise of the bar: strictly rising between 0 and 100, and 100 once, at the end, when all is stored. */
function assertTrue({ bar, polls, least, stored }) {
  const before = bar.slice(0, -1);
  assert.ok(before.length >= least, `the bar hardly moved: ${bar}`);
  assert.equal(bar.at(-1), 100);
  for (const [i, value] of before.entries()) {
    assert.ok(value > 0 && value < 100, `${value} in ${bar}`);
    assert.ok(i === 0 || value > before[i - 1], `it did not rise: ${bar}`);
  }
  assert.deepEqual(polls.filter((poll) => poll.answer === null).map((poll) => poll.stored), [stored]);
}

// ---- The article as it is ----------------------------------------------------------------------------------------

test("at the article's own five seconds the bar rises, and is 100 only when the picture is stored", async (t) => {
  const server = await serve(t, ...FLAGS);
  const page = await visit(t, server, { init: [], rate: MB / 10 });
  const paella = file(folder(t), "paella.jpg", 2.2 * MB);
  await submit(page, paella.path);
  const bar = await hundred(page, 35_000);
  assertTrue({ bar, polls: page.polls, least: 3, stored: ["12"] });
  for (const [i, { at }] of page.polls.entries()) assert.ok(i === 0 || at - page.polls[i - 1].at > 4500, "polled faster");
  assert.ok(server.read("12").equals(paella.bytes));
  assert.deepEqual((await seen(page)).answers, [{ kind: "XMLDocument", state: "done", name: "12", length: "2200000" }]);
  assert.equal(await words(page), "The picture of dish 12 has arrived: 2,200,000 bytes.");
});

test("polled four times a second the article's bar rises, and the answer's XML is read", async (t) => {
  const server = await serve(t, ...FLAGS);
  const page = await visit(t, server, { rate: MB / 2 });
  const paella = file(folder(t), "paella.jpg", 2 * MB);
  await submit(page, paella.path);
  const bar = await hundred(page);
  assertTrue({ bar, polls: page.polls, least: 10, stored: ["12"] });
  assert.ok(server.read("12").equals(paella.bytes));
  assert.deepEqual((await seen(page)).answers, [{ kind: "XMLDocument", state: "done", name: "12", length: "2000000" }]);
  const asked = page.polls.length;
  // Four times as long as from one poll to the next.
  await page.waitForTimeout(1000);
  assert.equal(page.polls.length, asked, "it asks on after the end");
});

for (const [how, options] of [
  ["jQuery Form's iframe mode", { mode: { iframe: true } }],
  ["a browser without FormData", { init: [faster, withoutFormData] }],
]) {
  test(`the article's page works in ${how}`, async (t) => {
    const server = await serve(t, ...FLAGS);
    const page = await visit(t, server, { ...options, rate: MB / 2 });
    const posts = [];
    page.on("request", (request) => request.method() === "POST" && posts.push(request.resourceType()));
    const paella = file(folder(t), "料理の写真.jpg", MB);
    await submit(page, paella.path);
    const bar = await hundred(page);
    assert.deepEqual(posts, ["document"]);
    assertTrue({ bar, polls: page.polls, least: 5, stored: ["12"] });
    assert.ok(server.read("12").equals(paella.bytes));
    await until(() => words(page), (text) => text === "The picture of dish 12 has arrived: 1,000,000 bytes.");
    assert.deepEqual((await seen(page)).answers.map((answer) => answer.state), ["done"]);
  });
}

test("a tiny picture, an empty one, and one with a Japanese name for a Japanese dish arrive through the article's page", async (t) => {
  const server = await serve(t, ...FLAGS);
  const dir = folder(t);
  for (const [path, stored, sent] of [
    ["", "12", file(dir, "tiny", 1)],
    ["?id=13", "13", file(dir, "empty.jpg", 0)],
    ["?id=パエリア", "パエリア", file(dir, "料理の写真.jpg", 3000)],
  ]) {
    const page = await visit(t, server, { path });
    await submit(page, sent.path);
    assert.deepEqual(await hundred(page), [100]);
    assert.ok(server.read(stored).equals(sent.bytes));
    await until(() => words(page), (text) => text === `The picture of dish ${stored} has arrived: ${sent.bytes.length.toLocaleString("en")} bytes.`);
  }
  assert.deepEqual(server.stored(), ["12", "13", "パエリア"]);
});

test("a dish's id that would be a path is a name in the folder", async (t) => {
  const server = await serve(t, ...FLAGS);
  const page = await visit(t, server, { path: "?id=../../outside" });
  await submit(page, file(folder(t), "paella.jpg", 10).path);
  await hundred(page);
  assert.deepEqual(server.stored(), ["outside"]);
});

// ---- Several at once, and one after another ----------------------------------------------------------------------

test("two uploads at once from the article's page are not mixed, in bytes or in numbers", async (t) => {
  const server = await serve(t, ...FLAGS);
  const context = await newContext(t);
  const dir = folder(t);
  const sent = [file(dir, "a.jpg", 2 * MB), file(dir, "b.jpg", MB)];
  const pages = [];
  for (const id of ["12", "13"]) pages.push(await visit(t, server, { context, path: `?id=${id}`, rate: MB / 2 }));
  await Promise.all(pages.map((page, i) => submit(page, sent[i].path)));
  for (const [i, page] of pages.entries()) {
    const bar = await hundred(page);
    assert.ok(bar.length > 4, `${bar}`);
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

test("a server that dies is told as a broken connection, and the bar stays below 100", async (t) => {
  const server = await serve(t, ...FLAGS);
  const page = await visit(t, server, { rate: MB / 10 });
  await submit(page, file(folder(t), "paella.jpg", 5 * MB).path);
  await until(async () => (await seen(page)).bar, (bar) => bar.length >= 2);
  await server.kill();
  await until(() => words(page), (text) => text === "This did not arrive: the connection to the server broke.");
  assert.ok((await seen(page)).bar.every((value) => value < 100));
});

test("without script the article's form posts, and an empty choice does not empty the dish's picture", async (t) => {
  const server = await serve(t, ...FLAGS);
  const page = await (await newContext(t, { javaScriptEnabled: false })).newPage();
  const sent = file(folder(t), "paella.jpg", 1000);
  for (const [path, answer] of [[sent.path, /1 file has arrived/], [undefined, /It held no file/]]) {
    await page.goto(server.url);
    await submit(page, path);
    await page.waitForURL(/upload$/);
    assert.match(await page.locator("body").innerText(), answer);
    assert.ok(server.read("12").equals(sent.bytes));
  }
});

// ---- The example itself ------------------------------------------------------------------------------------------

test("what differs from the article's listings is in the errata, line by line", () => {
  const lines = (text) => text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const code = ["index.html", "article.js"].map((name) => readFileSync(`${HERE}page/${name}`, "utf8")).join("");
  const ours = code.match(/article's \w+ listing\..*\n[^]*?.*Its end\./g).flatMap((listing) => lines(listing).slice(1, -1));
  const theirs = lines(readFileSync(new URL("article.listings.txt", import.meta.url), "utf8"));
  assert.ok(ours.length >= theirs.length);
  const errata = README.slice(README.indexOf("## Errata"), README.indexOf("## The server side"));
  const [gone, come] = [theirs.filter((line) => !ours.includes(line)), ours.filter((line) => !theirs.includes(line))];
  assert.ok(gone.length > 0 && come.length > 0);
  // And the other way round: the errata names nothing that is not so.
  const rows = [...errata.matchAll(/^\| (`.*?`) \| (`.*?`) \| /gm)];
  assert.equal(rows.length, gone.length);
  const named = (column) => rows.flatMap((row) => row[column].slice(1, -1).split("` `"));
  assert.deepEqual([named(1), named(2)], [gone, come]);
});

test("one command starts it all, and says which one it is", async (t) => {
  const dir = folder(t);
  const args = ["start", "--", "--listen", "127.0.0.1:0", "--dir", dir];
  const child = spawn("npm", args, { cwd: HERE, env: { ...process.env, DUMBWAITER_BIN: BINARY }, stdio: ["ignore", "pipe", "inherit"], detached: true });
  const ended = new Promise((resolve) => child.once("close", resolve));
  t.after(() => {
    process.kill(-child.pid, "SIGTERM");
    return ended;
  });
  const said = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    if (line.includes("http://")) break;
  }
  assert.ok(said.some((line) => line.includes(/--page .* replace/.exec(README)[0])), said.join("\n"));
  const page = await (await newContext(t)).newPage();
  await page.goto(/http:\/\/\S+/.exec(said.at(-1))[0]);
  await submit(page, file(folder(t), "paella.jpg", 10).path);
  await until(() => words(page), (text) => text === "The picture of dish 12 has arrived: 10 bytes.");
});
