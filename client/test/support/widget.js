/** A page of another origin with a widget in it, whose uploads go to our server over a line; what the widgets' tests share. */
import assert from "node:assert/strict";
import { MB, file, folder, serve } from "../support.js";
import { followNamed, patiently, wireOf } from "./follow.js";
import { line } from "./line.js";
import { site } from "./site.js";

/** A server that takes uploads from a site, a page of that site with the script at `page` in it, and files to send. */
export async function stage(t, chrome, page, { names = ["paella.bin"], size = 4 * MB, flags = [] } = {}) {
  const shown = await site(t, page);
  const server = await serve(t, "--allow-origin", shown.origin, ...flags);
  const context = await chrome.newContext();
  t.after(() => context.close());
  const dir = folder(t);
  const sent = names.map((name) => file(dir, name, size));
  const tab = await context.newPage();
  const stand = { server, line: await line(t, server), sent, tab, seen: await naming(t, server, tab), asked: requests(tab) };
  await tab.goto(shown.url);
  return stand;
}

/** Gives the page `named()`: a name for an upload that it is about to begin, which is followed from then on. */
async function naming(t, server, tab) {
  const streams = [];
  let names = 0;
  await tab.exposeFunction("named", async (name = `widget-${names++}`) => {
    streams.push(await followNamed(t, server, name));
    return name;
  });
  return {
    /** The streams followed, once there are so many of which something has been told. */
    async first(count = 1) {
      const begun = () => streams.filter(({ last }) => last);
      await patiently(() => begun().length >= count, () => `only ${begun().length} uploads of ${count} have begun`);
      return begun();
    },
    /**
     * The stream of what is sent anew after a break. Chromium itself sends a request again whose connection was open
     * before, and then the page gives it no new name: so whichever of the names uploads now is followed from here on.
     */
    async anew() {
      const query = Array.from({ length: names }, (_, i) => `X-Progress-ID=widget-${i}`).join("&");
      const newest = async () => (await (await fetch(`${server.url}uploads?${query}`)).json()).find((record) => record?.state === "uploading");
      await patiently(newest, () => "nothing is sent anew");
      return followNamed(t, server, (await newest()).progress_id);
    },
  };
}

/** What the page asks of the server and how it is answered, preflights left out. */
function requests(tab) {
  const all = [];
  tab.on("request", (request) => {
    if (!["xhr", "fetch"].includes(request.resourceType())) return;
    const entry = { method: request.method(), url: request.url(), status: null };
    entry.answered = request.response().then((answer) => { entry.status = answer?.status() ?? null; }, () => {});
    all.push(entry);
  });
  return { all, wire: () => wireOf(() => all) };
}

/** Begins the widget with an endpoint below the line's address, and chooses the files, which makes it send them. */
export async function send({ tab, line, sent }, path, options = {}) {
  await tab.waitForFunction(() => window.ready);
  await tab.evaluate(([endpoint, options]) => window.begin(endpoint, options), [line.url + path, options]);
  await tab.setInputFiles("#file", sent.map(({ path }) => path));
  return tab.evaluate(() => window.send());
}

/** All that was sent lies in the store under its name, and nothing else does. */
export function assertStored({ server, sent }) {
  assert.deepEqual(server.stored(), sent.map(({ name }) => name).sort());
  for (const { name, bytes } of sent) assert.ok(server.read(name).equals(bytes), name);
}
