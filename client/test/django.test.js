/** The article's project: a browser → nginx → Dumbwaiter → gunicorn with Django, and the project's own view reads memcached. */
import assert from "node:assert/strict";
import { statSync, readdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { hundred, newContext, submit, visit, words } from "./article.js";
import { asked, example, nginx, python } from "./django.js";
import { file, folder, MB, serve, slow, until } from "./support.js";

const CACHES = ["PyMemcacheCache", "PyLibMCCache"];

/** The page asks every second, which is less often than the cache is told. */
const oftener = () => {
  const real = window.setInterval;
  window.setInterval = (f, ms, ...rest) => real(f, ms === 5000 ? 1000 : ms, ...rest);
};

/** What the page and the poll read: the name of the page's server, and nothing of a store of ours. */
const site = (server) => ({ ...server, stored: server.pictures });

for (const cache of CACHES)
  test(`the project's own view reads from memcached by ${cache} how far the upload is, behind another address`, async (t) => {
    const server = await nginx(t, await example(t, { env: { EXAMPLE_CACHE: `django.core.cache.backends.memcached.${cache}` } }));
    const page = await visit(t, site(server), { init: [oftener], rate: MB });
    const { path, bytes } = file(folder(t), "paella.jpg", 6 * MB);
    await submit(page, path);
    const id = await page.inputValue("#X-Progress-ID");
    const all = asked(server.url, id);
    const bar = await hundred(page, 60_000);
    const before = bar.slice(0, bar.indexOf(100));
    assert.ok(new Set(before).size >= 3, `the bar hardly moved: ${bar}`);
    assert.deepEqual(before, before.toSorted((a, b) => a - b), "it fell");
    // The snippet's handler stands in the project's settings: it would have begun at 0 once more.
    const said = (await all).map(({ uploaded }) => uploaded);
    assert.deepEqual(said, said.toSorted((a, b) => a - b), "it fell");
    await until(() => words(page), (text) => text === "The picture of dish 12 has arrived: 6,000,000 bytes.");
    assert.deepEqual(server.pictures(), ["12"]);
    assert.ok(server.read("12").equals(bytes));
    // All of it was said with the body's length, as the browser counts it, and never all of that before the end.
    for (const { uploaded, length } of await all) assert.ok(length > bytes.length && uploaded < length);
  });

for (const give of ["replay", "reference"])
  test(`a model's form stores its file by ${give}, with the template tag's bar`, async (t) => {
    const server = await nginx(t, await example(t, { flags: ["--give", give] }));
    const page = await (await newContext(t)).newPage();
    await page.goto(`${server.url}dishes/add`);
    await slow(page, MB);
    const { path, bytes } = file(folder(t), "paella.jpg", 4 * MB);
    await page.fill("#id_id", "13");
    await page.setInputFiles("#id_picture", path);
    await page.click("button");
    const bar = page.getByRole("progressbar");
    const inodes = new Set();
    await until(async () => {
      for (const inode of lying(join(server.data, "uploads"))) inodes.add(inode);
      return Number(await bar.getAttribute("aria-valuenow"));
    }, (percent) => percent >= 50);
    await page.waitForURL(`${server.url}dishes/13`, { timeout: 60_000 });
    // The script was told where to go, and did not go there itself: what the project says once is still to be seen.
    assert.deepEqual((await page.locator("main p").allInnerTexts()).slice(0, 2), ["Dish 13 is on the menu.", "Dish 13 has a picture: paella.jpg, 4,000,000 bytes."]);
    assert.ok(server.read("paella.jpg").equals(bytes));
    // By reference it is the very file that Dumbwaiter wrote; by replay it is Django's own.
    const { ino } = statSync(join(server.data, "pictures", "paella.jpg"));
    assert.equal(inodes.has(ino), give === "reference");
    assert.deepEqual(stored(server), []);
  });

test("a form that the project refuses is shown with its words, and leaves nothing", async (t) => {
  const server = await nginx(t, await example(t, { flags: ["--give", "reference", "--app-grace", "0s"] }));
  const page = await (await newContext(t)).newPage();
  await page.goto(`${server.url}dishes/add`);
  await page.fill("#id_id", "a".repeat(100));
  await page.evaluate(() => document.querySelector("#id_id").removeAttribute("maxlength"));
  await page.fill("#id_id", "a".repeat(101));
  await page.setInputFiles("#id_picture", file(folder(t), "paella.jpg", 1000).path);
  await page.click("button");
  await page.locator(".errorlist").waitFor();
  assert.match(await page.locator(".errorlist").innerText(), /at most 100 characters/);
  assert.equal(await page.evaluate(() => document.activeElement.id), "id_id");
  assert.deepEqual(server.pictures(), []);
  await until(() => stored(server), (names) => names.length === 0);
});

test("a form shown again with its words goes up once more with a bar, and one without Django's token is refused by Django", async (t) => {
  const server = await nginx(t, await example(t));
  const page = await (await newContext(t)).newPage();
  await page.goto(`${server.url}dishes/add`);
  const choose = () => page.setInputFiles("#id_picture", file(folder(t), "paella.jpg", 1000).path);
  const send = async (id) => {
    await page.evaluate(() => document.querySelector("#id_id").removeAttribute("maxlength"));
    await page.fill("#id_id", id);
    await choose();
    await page.click("form button");
  };
  await send("a".repeat(101));
  await page.locator(".errorlist").waitFor();
  await page.evaluate(() => { document.querySelector("[name=csrfmiddlewaretoken]").value = "forged"; });
  await send("14");
  await until(() => page.title(), (title) => title === "403 Forbidden");
  await page.reload();
  await page.locator("#id_id").waitFor();
  await send("14");
  await page.waitForURL(`${server.url}dishes/14`);
  assert.equal(await page.locator("main p").first().innerText(), "Dish 14 is on the menu.");
  assert.deepEqual(server.pictures(), ["paella.jpg"]);
});

test("Django's own logins, permissions and CSRF check say who may send Dumbwaiter a file", async (t) => {
  const project = await example(t);
  const server = await serve(t, "--ask", `${project.app}/dumbwaiter/ask`);
  const put = async (headers) => (await fetch(`${server.url}files/paella.jpg`, { method: "PUT", body: "paella", headers })).status;
  const login = (name, may) => python(project, `
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Permission, User
user = User.objects.create_user("${name}")
user.user_permissions.set(Permission.objects.filter(codename="${may}"))
session = import_module(settings.SESSION_ENGINE).SessionStore()
session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(user.pk), settings.AUTHENTICATION_BACKENDS[0]
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.create()
print(session.session_key)`);
  const token = "a".repeat(32);
  const [cook, guest] = [login("cook", "add_dish"), login("guest", "view_dish")];
  const as = (session) => ({ cookie: `sessionid=${session}; csrftoken=${token}` });
  assert.equal(await put({ cookie: `csrftoken=${token}`, "x-csrftoken": token }), 403);
  assert.equal(await put({ ...as(guest), "x-csrftoken": token }), 403);
  assert.equal(await put(as(cook)), 403);
  assert.deepEqual(server.stored(), []);
  assert.equal(await put({ ...as(cook), "x-csrftoken": token }), 201);
  assert.deepEqual(server.stored(), ["paella.jpg"]);
});

/** What Dumbwaiter has stored and nobody has taken. */
function stored(server) {
  return readdirSync(join(server.data, "uploads")).filter((name) => !name.startsWith(".") && !name.startsWith("records.redb"));
}

/** The inodes of all files in a folder, hidden ones too. */
function lying(dir) {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return entries.flatMap((entry) => statSync(join(entry.parentPath ?? entry.path, entry.name), { throwIfNoEntry: false })?.ino ?? []);
}
