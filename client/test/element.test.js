/** <dumbwaiter-progress> before it can speak, and when what it shows is taken away. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, until } from "./support.js";
import { begin, counted, serveSite, watcher } from "./support/watcher.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

/** Puts a bar of that upload into the page. */
const put = (page, id) => page.evaluate((id) => {
  const bar = document.body.appendChild(document.createElement("dumbwaiter-progress"));
  if (id) bar.setAttribute("upload", id);
}, id);

const bar = (page, state) => page.locator(`dumbwaiter-progress[state=${state}]`).waitFor();

test("a bar whose words do not come shows how far it is, and no button without a name", async (t) => {
  const server = await serveSite(t);
  const { id, send } = await begin(server, 1000);
  await send(400);
  const context = await chrome.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.route("**/dumbwaiter.words.js", (route) => route.abort());
  await page.goto(server.url);
  await page.evaluate(() => import("/dumbwaiter.js"));
  await put(page, id);
  await bar(page, "uploading");
  await page.locator("dumbwaiter-progress").getByText("40").waitFor();
  assert.equal(await page.locator("dumbwaiter-progress button:visible").count(), 0);
});

test("a bar whose upload is taken away shows it no longer, and leaves no stream", async (t) => {
  const server = await serveSite(t);
  const line = await counted(t, server);
  const { id, send } = await begin(server, 1000);
  await send(400);
  const page = await watcher(t, chrome, line.url);
  await put(page, id);
  await bar(page, "uploading");
  await page.evaluate(() => document.querySelector("dumbwaiter-progress").removeAttribute("upload"));
  await bar(page, "waiting");
  assert.deepEqual(await page.evaluate(() => {
    const { progress, shadowRoot } = document.querySelector("dumbwaiter-progress");
    return [progress.record, shadowRoot.querySelector("[part=name]").textContent];
  }), [null, ""]);
  await until(() => line.open.size, (streams) => streams === 0);
  await page.evaluate((id) => document.querySelector("dumbwaiter-progress").setAttribute("upload", id), id);
  await bar(page, "uploading");
});

test("a name that has no room is cut in its middle, and keeps its ending", async (t) => {
  const server = await serveSite(t);
  const page = await watcher(t, chrome, server.url);
  await page.setViewportSize({ width: 360, height: 640 });
  for (const name of [`${"A dish with a very long name ".repeat(5)}🍲oup.jpeg`, "a.b", "soup with  two.jpeg"]) {
    const { id } = await begin(server, 1000, name);
    await page.evaluate(() => document.querySelector("dumbwaiter-progress")?.remove());
    await put(page, id);
    await page.locator("dumbwaiter-progress").getByText(name.slice(-3)).first().waitFor();
    const { shown, title, widths, right } = await page.locator("dumbwaiter-progress [part=name]").evaluate((one) => ({
      shown: one.textContent, title: one.parentElement.title, right: one.lastChild.getBoundingClientRect().right,
      widths: [...one.children].map(({ scrollWidth, offsetWidth }) => scrollWidth - offsetWidth),
    }));
    assert.deepEqual([shown, title], [name, name]);
    assert.deepEqual([widths[0] > 0, right <= 360], [name.length > 100, true]);
  }
});
