/** The article's page (examples/article) in Chromium, as a reader copies it, with the real binary as its server. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { FLAGS, HERE, README, assertTrue, faster, hundred, newContext, seen, submit, visit, withoutFormData, words } from "./article.js";
import { BINARY, MB, file, folder, serve, until } from "./support.js";

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

test("polled twice a second the article's bar rises, and the answer's XML is read", async (t) => {
  const server = await serve(t, ...FLAGS);
  const page = await visit(t, server, { rate: 0.4 * MB });
  const paella = file(folder(t), "paella.jpg", 2 * MB);
  await submit(page, paella.path);
  const bar = await hundred(page);
  assertTrue({ bar, polls: page.polls, least: 6, stored: ["12"] });
  assert.ok(server.read("12").equals(paella.bytes));
  assert.deepEqual((await seen(page)).answers, [{ kind: "XMLDocument", state: "done", name: "12", length: "2000000" }]);
  const asked = page.polls.length;
  // Longer than from one poll to the next two.
  await page.waitForTimeout(1200);
  assert.equal(page.polls.length, asked, "it asks on after the end");
});

for (const [how, options] of [
  ["jQuery Form's iframe mode", { mode: { iframe: true } }],
  ["a browser without FormData", { init: [faster, withoutFormData] }],
]) {
  test(`the article's page works in ${how}`, async (t) => {
    const server = await serve(t, ...FLAGS);
    const page = await visit(t, server, { ...options, rate: MB / 4 });
    const posts = [];
    page.on("request", (request) => request.method() === "POST" && posts.push(request.resourceType()));
    const paella = file(folder(t), "料理の写真.jpg", MB);
    await submit(page, paella.path);
    const bar = await hundred(page);
    assert.deepEqual(posts, ["document"]);
    assertTrue({ bar, polls: page.polls, least: 4, stored: ["12"] });
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
    await hundred(page);
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

test("axe finds nothing on the article's page, light and dark, on a phone too", async (t) => {
  const server = await serve(t, ...FLAGS);
  for (const colorScheme of ["light", "dark"]) {
    const context = await newContext(t, { colorScheme, viewport: { width: 360, height: 700 } });
    const page = await visit(t, server, { context });
    await submit(page, file(folder(t), "paella.jpg", 1000).path);
    await hundred(page);
    await page.addScriptTag({ path: fileURLToPath(new URL("../node_modules/axe-core/axe.min.js", import.meta.url)) });
    const { violations, passes } = await page.evaluate(() => window.axe.run());
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]), []);
    assert.ok(passes.length > 10);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
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
