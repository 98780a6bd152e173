/** What follows the answer to a form with a bar: what the browser would have done without, or what the page says. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { MB, browser, file, folder, open, serve, slow, until } from "./support.js";
import { pages } from "./support/module.js";
import { FORM, bar, hear, html, said, shop } from "./support/shop.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

const to = (location, status = 302) => (_, answer) => answer.writeHead(status, { location, "set-cookie": "flash=Added; Path=/" }).end();
const page = (status, title, body = "", head = "") => (_, answer) => answer.writeHead(status).end(html(title, body, head));

/** A page that shows what it was told to, once. */
const flashing = (title, body = "") => (request, answer) => {
  const [, words = ""] = /flash=(\w+)/.exec(request.headers.cookie ?? "") ?? [];
  answer.setHeader("Set-Cookie", "flash=; Path=/; Max-Age=0");
  return html(title, `<p id="flash">${words}</p>${body}`);
};

/** Opens a page with the form and sends it. */
async function sent(t, site, path = "") {
  const tab = await open(t, chrome, site.url + path);
  await hear(tab);
  await tab.setInputFiles("[type=file]", file(folder(t), "paella.jpg", 1000).path);
  await tab.click("#go");
  return tab;
}

test("where the app redirects to, the browser goes once, so that what is shown there once is seen", async (t) => {
  const site = await shop(t, { pages: { "/": html("Add", FORM), "/dishes/1": flashing("Dish 1") }, answers: [to("/dishes/1?new", 303)] });
  const tab = await sent(t, site);
  await tab.waitForURL(`${site.url}dishes/1?new`);
  assert.equal(await tab.locator("#flash").innerText(), "Added");
  assert.deepEqual(site.gets.filter((path) => path.startsWith("/dishes/1")), ["/dishes/1?new"]);
  // As after any form: back is the form's page.
  await tab.goBack();
  await tab.getByRole("heading", { name: "Add" }).waitFor();
});

test("it goes to another origin too, which no script could", async (t) => {
  const other = await shop(t, { pages: { "/pay": html("Pay", "") }, answers: [] });
  const there = `${other.url.replace("127.0.0.1", "localhost")}pay`;
  const site = await shop(t, { pages: { "/": html("Add", FORM) }, answers: [to(there)] });
  const tab = await sent(t, site);
  await tab.waitForURL(there);
});

test("an address that is a script is not gone to", async (t) => {
  const site = await shop(t, { pages: { "/": html("Add", FORM) }, answers: [to("javascript:document.title='run'")] });
  const tab = await sent(t, site);
  await tab.locator("dumbwaiter-progress[state=done]").waitFor();
  assert.equal(await tab.title(), "Add");
});

test("a page of another origin, which could do what it likes in this one, is not shown in its place", async (t) => {
  const other = createServer((request, answer) => {
    const cors = { "access-control-allow-origin": "*", "access-control-allow-headers": "*", "access-control-expose-headers": "Dumbwaiter-Location", "content-type": "text/html" };
    request.resume().on("end", () => answer.writeHead(200, cors).end(html("Theirs", "theirs")));
  });
  await new Promise((resolve) => other.listen(0, "127.0.0.1", resolve));
  t.after(() => other.close(other.closeAllConnections()));
  const body = `<form data-dumbwaiter action="http://127.0.0.1:${other.address().port}/" method="post"><input type="file" name="f"><button id="go">Send</button></form>`;
  const server = await serve(t, "--page", pages(t, { body, policy: "script-src 'self'" }));
  const tab = await open(t, chrome, server.url);
  await tab.setInputFiles("[type=file]", file(folder(t), "paella.jpg", 1000).path);
  await tab.click("#go");
  await tab.locator("dumbwaiter-progress[state=done]").waitFor();
  assert.equal(await tab.title(), "Dishes");
  assert.equal(await tab.getByText("theirs").count(), 0);
});

test("back to the same page with a fragment loads that page anew", async (t) => {
  const site = await shop(t, { pages: { "/": flashing("Add", `${FORM}<p id="last">Last</p>`) }, answers: [to("/#last")] });
  const tab = await sent(t, site);
  await until(() => tab.locator("#flash").innerText().catch(() => ""), (words) => words === "Added");
  assert.equal(tab.url(), `${site.url}#last`);
});

test("a redirect from an app that nobody is before is followed all the same", async (t) => {
  const site = await shop(t, { pages: { "/": html("Add", FORM), "/dishes/1": html("Dish 1", "") }, answers: [to("/dishes/1")], flags: ["--upload-path", "/other"] });
  const tab = await sent(t, site);
  await tab.waitForURL(`${site.url}dishes/1`);
  assert.equal(await tab.title(), "Dish 1");
});

const WRONG = `<p>Too short</p><script src="/loud.js"></script>${FORM.replace('value="paella"', 'value="p" aria-invalid="true"')}`;

for (const status of [200, 422])
  test(`a form that the app shows again with ${status} takes the page's place, and goes up with a bar again`, async (t) => {
    const style = `<link rel="stylesheet" href="/wrong.css">`;
    const pages = { "/": html("Add", FORM), "/wrong.css": "h1 { color: rgb(179, 38, 30) }", "/loud.js": "window.ran = true", "/dishes/1": html("Dish 1", "") };
    const site = await shop(t, { pages, answers: [page(status, "Mend", WRONG, style), to("/dishes/1")] });
    const tab = await sent(t, site);
    await tab.getByText("Too short").waitFor();
    assert.deepEqual([tab.url(), await tab.title()], [`${site.url}dishes`, "Mend"]);
    await until(() => tab.evaluate(() => getComputedStyle(document.querySelector("h1")).color), (colour) => colour === "rgb(179, 38, 30)");
    assert.equal(await tab.evaluate(() => document.activeElement.getAttribute("name")), "name");
    const [start, end, shown] = await tab.evaluate(() => window.heard);
    assert.deepEqual([start[0], end[0], end[3], shown.slice(0, 2)], ["start", status === 200 ? "done" : "error", status === 200 ? 200 : "http_422", ["shown", "body"]]);
    await tab.fill("[name=name]", "paella");
    await tab.click("#go");
    await tab.waitForURL(`${site.url}dishes/1`);
    assert.deepEqual((await said(site.posts[1]))[0], ["name", "paella"]);
    assert.equal(await tab.evaluate(() => "ran" in window), false);
  });

test("back from a page that was shown is the page of the form", async (t) => {
  const site = await shop(t, { pages: { "/add": html("Add", FORM) }, answers: [page(200, "Mend", `${WRONG}<a id="part" href="#go">part</a>`)] });
  const tab = await sent(t, site, "add");
  await tab.getByText("Too short").waitFor();
  // Within the page it is that page still.
  await tab.click("#part");
  await tab.waitForURL(/#go$/);
  await tab.goBack();
  await tab.waitForURL(/dishes$/);
  assert.equal(await tab.title(), "Mend");
  await tab.goBack();
  await tab.waitForURL(/add$/);
  await until(() => tab.title(), (title) => title === "Add");
});

test("a page of a proxy that says that something is out of order is told by the bar, and the form can be sent again", async (t) => {
  const site = await shop(t, { pages: { "/": html("Add", FORM), "/dishes/1": html("Dish 1", "") }, answers: [page(413, "Too large"), page(500, "Oops"), to("/dishes/1")] });
  const tab = await sent(t, site);
  for (const code of ["http_413", "http_500"]) {
    await until(() => bar(tab, "code").innerText(), (text) => text === code);
    assert.equal(await tab.title(), "Add");
    if (code === "http_413") await tab.click("#go");
  }
  await tab.getByRole("button", { name: /^Retry/ }).click();
  await tab.waitForURL(`${site.url}dishes/1`);
});

test("a form that was cancelled, or whose line broke, can be sent once more by its button or by the bar's", async (t) => {
  const site = await shop(t, { pages: { "/": html("Add", FORM), "/dishes/1": html("Dish 1", "") }, answers: [to("/dishes/1")] });
  const tab = await open(t, chrome, site.url);
  await slow(tab, MB);
  await tab.setInputFiles("[type=file]", file(folder(t), "paella.jpg", 3 * MB).path);
  await tab.click("#go");
  await tab.locator("dumbwaiter-progress[state=uploading]").waitFor();
  await bar(tab, "cancel").click();
  await tab.locator("dumbwaiter-progress[state=cancelled]").waitFor();
  await site.close();
  await tab.click("#go");
  await until(() => bar(tab, "code").innerText(), (code) => code === "app_unreachable");
  await site.listen();
  await tab.getByRole("button", { name: /^Retry/ }).click();
  await tab.waitForURL(`${site.url}dishes/1`, { timeout: 60_000 });
  assert.equal(site.posts.length, 1);
});

test("who prevents the default of an event does himself what comes after", async (t) => {
  const own = `for (const what of ["done", "error"]) document.addEventListener("dumbwaiter-" + what, (event) => {
    event.preventDefault();
    const { answer, error, record } = event.detail;
    const reply = answer ?? error.reply;
    document.querySelector("h1").textContent = [what, reply.status, reply.field("Dumbwaiter-Location") ?? reply.page.title, record?.state].join();
  });`;
  const site = await shop(t, { pages: { "/": html("Add", FORM, `<script src="/own.js" defer></script>`), "/own.js": own }, answers: [to("/dishes/1"), page(422, "Mend"), page(200, "Fine")] });
  const tab = await sent(t, site);
  for (const words of ["done,302,/dishes/1,done", "error,422,Mend,", "done,200,Fine,done"]) {
    await tab.getByRole("heading", { name: words, exact: true }).waitFor();
    assert.deepEqual([tab.url(), await tab.title()], [site.url, "Add"]);
    await tab.click("#go");
  }
});

test("a form for Dumbwaiter itself ends with Arrived, or where its field next says within this origin", async (t) => {
  const form = FORM.replace("/dishes", "/_dumbwaiter/upload");
  const next = (path) => html("Add", form.replace("<button", `<input type="hidden" name="next" value="${path}"><button`));
  const pages = { "/": html("Add", form), "/next": next("/thanks"), "/away": next("//elsewhere.example/"), "/tab": next("/&#9;/elsewhere.example/"), "/thanks": html("Thanks", "") };
  const site = await shop(t, { pages, answers: [] });
  for (const path of ["", "away", "tab"]) {
    const tab = await sent(t, site, path);
    await tab.locator("dumbwaiter-progress[state=done]").waitFor();
    await until(() => bar(tab).innerText(), (text) => /Arrived/.test(text));
    assert.equal(tab.url(), site.url + path);
    assert.equal(await tab.inputValue("[type=file]"), "");
  }
  const tab = await sent(t, site, "next");
  await tab.waitForURL(`${site.url}thanks`);
  assert.equal(site.stored().length, 4);
});
