/** Forms with a bar: what is sent, when, and which forms stay as they are. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { MB, browser, file, folder, open, serve, slow, until } from "./support.js";
import { FORM, bar, hear, html, said, shop } from "./support/shop.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

const thanks = (_, answer) => answer.end(html("Thanks", ""));
const fine = (_, answer) => answer.writeHead(204).end();

test("a form with data-dumbwaiter is sent by script with a bar, and is the form that a browser sends", async (t) => {
  const site = await shop(t, { pages: { "/": html("Add", FORM) }, answers: [thanks] });
  const { path, bytes } = file(folder(t), "paella.jpg", 3 * MB);
  for (const javaScriptEnabled of [false, true]) {
    const page = await open(t, chrome, site.url, { javaScriptEnabled });
    if (javaScriptEnabled) await slow(page, 2 * MB);
    await page.setInputFiles("[type=file]", path);
    await page.click("#go");
    if (javaScriptEnabled) {
      await until(async () => Number(await bar(page, "bar").getAttribute("aria-valuenow")), (percent) => percent > 10 && percent < 90);
      await bar(page, "button").filter({ hasText: "Cancel" }).first().waitFor();
    }
    await page.getByRole("heading", { name: "Thanks" }).waitFor({ timeout: 60_000 });
    assert.equal(page.url(), `${site.url}dishes`);
  }
  const [plain, scripted] = await Promise.all(site.posts.map(said));
  assert.deepEqual(scripted, plain);
  assert.deepEqual(scripted, [["name", "paella"], ["picture", ["paella.jpg", bytes]], ["go", "now"]]);
  assert.equal(site.posts.length, 2);
  // An app that chooses by Accept shows a script what it shows a browser.
  for (const { headers } of site.posts) assert.match(headers.accept, /^text\/html/);
});

test("a form that a script puts there later is sent in the same way; its empty X-Progress-ID is filled, one that is set stays", async (t) => {
  const site = await shop(t, { pages: { "/": html("Add", "") }, answers: [fine] });
  const page = await open(t, chrome, site.url);
  for (const value of ["", "mine"]) {
    await page.evaluate((value) => {
      const make = (tag, attributes, ...inner) => {
        const element = document.createElement(tag);
        for (const [name, text] of Object.entries(attributes)) element.setAttribute(name, text);
        element.append(...inner);
        return element;
      };
      document.querySelector("main").replaceChildren(make("form", { "data-dumbwaiter": "", method: "POST", action: "/dishes" },
        make("input", { type: "hidden", name: "X-Progress-ID", value }), make("button", { id: "go" }, "Send")));
    }, value);
    await page.click("#go");
    await page.locator("dumbwaiter-progress[state=done]").waitFor();
    const { headers } = site.posts.at(-1);
    assert.deepEqual(await said(site.posts.at(-1)), [["X-Progress-ID", value || headers["x-progress-id"]]]);
    assert.match(headers["x-progress-id"], /^[0-9a-f]{32}$/);
  }
});

test("axe finds nothing in a page whose form is sent, failed and done", async (t) => {
  const free = (_, answer) => (answer.setHeader("Content-Security-Policy", "script-src 'self' 'unsafe-eval'"), html("Add", FORM));
  const oops = (_, answer) => answer.writeHead(500).end(html("Oops", ""));
  const site = await shop(t, { pages: { "/": free }, answers: [oops, fine] });
  const page = await open(t, chrome, site.url);
  for (const state of ["error", "done"]) {
    await page.setInputFiles("[type=file]", file(folder(t), "paella.jpg", 1000).path);
    await page.click("#go");
    await page.locator(`dumbwaiter-progress[state=${state}]`).waitFor();
    await page.evaluate(readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8"));
    const { violations, passes } = await page.evaluate(() => window.axe.run());
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes[0].html]), []);
    assert.ok(passes.length > 10);
  }
});

const OTHERS = {
  "one by GET": `<form data-dumbwaiter action="/dishes"><button id="go">Send</button></form>`,
  "one for another window": `<form data-dumbwaiter method="post" action="/dishes" target="frame"><button id="go">Send</button></form>`,
  "one whose button says another method": `<form data-dumbwaiter method="post" action="/dishes"><button id="go" formmethod="get">Send</button></form>`,
  "one without the attribute": `<form method="post" action="/dishes"><button id="go">Send</button></form>`,
};
for (const [what, form] of Object.entries(OTHERS))
  test(`a form stays the browser's own: ${what}`, async (t) => {
    const site = await shop(t, { pages: { "/": html("Add", form), "/dishes": html("Got", "") }, answers: [thanks] });
    const page = await open(t, chrome, site.url);
    await hear(page);
    const sent = page.context().waitForEvent("request", (request) => new URL(request.url()).pathname === "/dishes");
    await page.click("#go");
    assert.ok((await sent).isNavigationRequest());
  });

test("a form that its own script takes, as jQuery Form does, is left to it", async (t) => {
  const form = `<form id="f" data-dumbwaiter method="post" action="/dishes"><button id="go">Send</button></form>`;
  const own = `jQuery(() => jQuery("#f").ajaxForm({ success: (data) => (document.title = data) }));`;
  const vendor = (name) => readFileSync(new URL(`../node_modules/${name}`, import.meta.url), "utf8");
  const scripts = { "/jquery.js": vendor("jquery/dist/jquery.js"), "/form.js": vendor("jquery-form/dist/jquery.form.min.js"), "/own.js": own };
  const tags = Object.keys(scripts).map((name) => `<script src="${name}"></script>`).join("");
  const free = (_, answer) => (answer.setHeader("Content-Security-Policy", "script-src 'self'"), html("Add", form, tags));
  const site = await shop(t, { pages: { "/": free, ...scripts }, answers: [(_, answer) => answer.setHeader("Content-Type", "text/plain").end("jQuery's")] });
  const page = await open(t, chrome, site.url);
  await page.click("#go");
  await until(() => page.title(), (title) => title === "jQuery's");
  assert.equal(await page.locator("dumbwaiter-progress").count(), 0);
  assert.equal(site.posts.length, 1);
});

test("who presses twice sends once; the button that was pressed says where to", async (t) => {
  const form = FORM.replace("</form>", `<button id="draft" formaction="/drafts" name="go" value="later">Keep</button></form>`);
  const site = await shop(t, { pages: { "/": html("Add", form) }, answers: [fine], flags: ["--upload-path", "/dishes", "--upload-path", "/drafts"] });
  const page = await open(t, chrome, site.url);
  await slow(page, MB);
  await page.setInputFiles("[type=file]", file(folder(t), "paella.jpg", 2 * MB).path);
  await hear(page);
  await page.click("#draft");
  await page.click("#go");
  await page.locator("dumbwaiter-progress[state=done]").waitFor({ timeout: 60_000 });
  assert.deepEqual(site.posts.map(({ path }) => path), ["/drafts"]);
  assert.deepEqual((await said(site.posts[0])).at(-1), ["go", "later"]);
  assert.deepEqual(await page.evaluate(() => window.heard), [["start", "form", "waiting", ""], ["done", "form", "done", 204]]);
  // Sent and taken: the form is as new.
  assert.equal(await page.inputValue("[type=file]"), "");
});

test("enhance() does the same for a form without the attribute, shows it in a bar elsewhere, and can be undone", async (t) => {
  const server = await serve(t, "--base", "/lift", "--app", "http://127.0.0.1:9");
  const page = await open(t, chrome, server.url);
  await page.evaluate(async () => {
    const { enhance } = await import("./dumbwaiter.js");
    const make = (tag) => document.createElement(tag);
    const [form, progress, input] = [make("form"), make("dumbwaiter-progress"), make("input")];
    Object.assign(input, { type: "file", name: "picture", id: "picture" });
    form.method = "post";
    form.action = "upload";
    form.append(input);
    document.body.prepend(form, progress);
    window.form = form;
    window.undo = enhance(form, { progress });
  });
  const { path, bytes } = file(folder(t), "paella.jpg", 1000);
  await page.setInputFiles("#picture", path);
  await page.evaluate(() => window.form.requestSubmit());
  await page.locator("body > dumbwaiter-progress[state=done]").waitFor();
  assert.ok(server.read("paella.jpg").equals(bytes));
  assert.equal(await page.inputValue("#picture"), "");
  const taken = await page.evaluate(() => {
    window.undo();
    let prevented;
    addEventListener("submit", (event) => ((prevented = event.defaultPrevented), event.preventDefault()), { once: true });
    window.form.requestSubmit();
    return prevented;
  });
  assert.equal(taken, false);
});

test("the address that a form names reaches the app as it is written", async (t) => {
  const form = FORM.replace(/action="[^"]*"/, 'action="/dishes?sig=a%20b%2Bc~*&amp;flag"').replace("</form>", '<button type="button" name="reset">Clear</button></form>');
  const site = await shop(t, { pages: { "/": html("Add", form) }, answers: [fine] });
  const page = await open(t, chrome, site.url);
  await page.fill("[name=name]", "rice");
  await page.click("#go");
  // A button that is called as a method is does not stand in for it.
  await until(() => page.inputValue("[name=name]"), (text) => text === "paella");
  assert.equal(site.posts[0].path, "/dishes?sig=a%20b%2Bc~*&flag");
});
