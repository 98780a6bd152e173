/** Forms of apps as they are: with scripts of their own, slow pages, and parts for browsers without script. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, file, folder, open, until } from "./support.js";
import { FORM, html, said, shop } from "./support/shop.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

const page = (status, title, body = "", head = "") => (_, answer) => answer.writeHead(status).end(html(title, body, head));
const dish = (t) => file(folder(t), "paella.jpg", 1000).path;

test("a page that comes slowly is shown all the same, and not taken for none", async (t) => {
  const text = html("Mend", FORM);
  let rest;
  // The page waits three seconds for an answer after the record's end; its clock is moved.
  const site = await shop(t, { pages: { "/": html("Add", FORM) }, answers: [(_, answer) => {
    answer.writeHead(200).write(text.slice(0, 100));
    rest = () => answer.end(text.slice(100));
  }] });
  const tab = await open(t, chrome, site.url);
  await tab.clock.install();
  await tab.setInputFiles("[type=file]", dish(t));
  const [answer] = await Promise.all([tab.waitForResponse((response) => response.request().method() === "POST"), tab.click("#go")]);
  assert.equal(answer.status(), 200);
  await until(() => tab.evaluate(() => document.querySelector("dumbwaiter-progress").progress.record?.state), (state) => state === "done");
  await tab.clock.runFor(20_000);
  assert.notEqual(await tab.evaluate(() => document.querySelector("dumbwaiter-progress").progress.state), "done");
  rest();
  await tab.getByRole("heading", { name: "Mend" }).waitFor();
});

test("a script that listens on the document later can still change the form's fields, or keep it back", async (t) => {
  const own = `let first = true;
    document.addEventListener("DOMContentLoaded", () => document.addEventListener("submit", (event) => {
      event.target.elements.name.value = "rice";
      if (first) event.preventDefault();
      first = false;
    }));`;
  const site = await shop(t, { pages: { "/": html("Add", FORM, `<script src="/own.js"></script>`), "/own.js": own }, answers: [page(200, "Thanks")] });
  const tab = await open(t, chrome, site.url);
  await tab.click("#go");
  assert.equal(await tab.locator("dumbwaiter-progress").count(), 0);
  await tab.click("#go");
  await tab.getByRole("heading", { name: "Thanks" }).waitFor();
  assert.deepEqual((await Promise.all(site.posts.map(said))).map(([name]) => name), [["name", "rice"]]);
});

test("what a page says to browsers without script is no part of the page that is shown", async (t) => {
  const head = `<noscript><link rel="stylesheet" href="/none.css"></noscript>`;
  const form = FORM.replace("<button", `<noscript><input name="plain" value="1" autofocus></noscript><button`);
  const pages = { "/": html("Add", form, head), "/none.css": "h1 { color: rgb(179, 38, 30) }" };
  const site = await shop(t, { pages, answers: [page(200, "Mend", form, head), page(200, "Thanks")] });
  const tab = await open(t, chrome, site.url);
  await tab.click("#go");
  await tab.getByRole("heading", { name: "Mend" }).waitFor();
  assert.equal(await tab.locator("head > [href='/none.css']").count(), 0);
  await tab.click("#go");
  await tab.getByRole("heading", { name: "Thanks" }).waitFor();
  const [first, second] = (await Promise.all(site.posts.map(said))).map((fields) => fields.map(([name]) => name));
  assert.deepEqual(second, first);
});

test("a link within the second page that was shown does not fetch it again", async (t) => {
  const second = `<h2>Also wrong</h2><a id="part" href="#go">part</a>${FORM}`;
  const site = await shop(t, { pages: { "/": html("Add", FORM), "/more": html("Fetched", "") }, flags: ["--upload-path", "/dishes", "--upload-path", "/more"],
    answers: [page(422, "Mend", FORM.replace("/dishes", "/more")), page(422, "More", second)] });
  const tab = await open(t, chrome, site.url);
  await tab.click("#go");
  await tab.getByRole("heading", { name: "Mend" }).waitFor();
  await tab.click("#go");
  await tab.getByRole("heading", { name: "More", exact: true }).waitFor();
  await tab.click("#part");
  await tab.waitForURL(/more#go$/);
  await tab.click("#part");
  await tab.waitForLoadState();
  assert.equal(await tab.title(), "More");
  assert.ok(!site.gets.includes("/more"), `${site.gets}`);
});

test("the bar names the files that were chosen, not the fields that are empty", async (t) => {
  const form = FORM.replace("<button", `<input type="file" name="second" aria-label="Second"><button`);
  const site = await shop(t, { pages: { "/": html("Add", form) }, answers: [(_, answer) => answer.writeHead(204).end()] });
  const tab = await open(t, chrome, site.url);
  await tab.setInputFiles("[name=picture]", dish(t));
  await tab.click("#go");
  await tab.locator("dumbwaiter-progress[state=done]").waitFor();
  assert.equal(await tab.evaluate(() => document.querySelector("dumbwaiter-progress").progress.name), "paella.jpg");
  assert.deepEqual((await said(site.posts[0])).map(([name]) => name), ["name", "picture", "second", "go"]);
});
