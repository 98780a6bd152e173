/**
 * A page of somebody's own with the module in it: served by the real binary under a policy that lets in nothing inline,
 * opened in Chromium over a line that can be cut.
 */
import { copyFileSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { file, folder, open, serve } from "../support.js";
import { patiently, wireOf } from "./follow.js";
import { line } from "./line.js";

const CLIENT = fileURLToPath(new URL("../../", import.meta.url));
export const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; require-trusted-types-for 'script'";
const BODY = `<input type="file" id="file" multiple aria-label="Files">`;
const SCRIPT = `
import * as dw from "./dumbwaiter.js";
Object.assign(window, { dw, uploads: [], changes: [] });
window.look = ({ state, reason, kept, gone, percent, sent, live, silent, whole, resumable, error, record, length }) =>
  ({ state, reason, kept, gone, percent, sent, live, silent, whole, resumable, length, record,
    error: error && { code: error.code, message: error.message, status: error.status } });
window.begin = (what, options) => {
  const upload = dw.upload(what, { ...window.options, ...options });
  const at = uploads.push(upload) - 1;
  const seen = (changes[at] = [look(upload)]);
  upload.addEventListener("change", () => seen.push(look(upload)));
  upload.done.then(() => {}, () => {});
  return at;
};
`;

/**
 * A folder for `--page`: a page with this body and script, and the module as it lies here, which may be newer than what
 * the binary has in it.
 */
export function pages(t, { body = BODY, script = SCRIPT, policy = POLICY, lang = "en" } = {}) {
  const dir = folder(t);
  for (const name of readdirSync(CLIENT)) if (/^dumbwaiter(\.\w+)?\.js$/.test(name)) copyFileSync(CLIENT + name, `${dir}/${name}`);
  const head = `<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}"><title>Dishes</title><link rel="icon" href="/favicon.ico">`;
  writeFileSync(`${dir}/index.html`, `<!doctype html><html lang="${lang}"><head>${head}</head><body><main><h1>Dishes</h1>${body}</main><script type="module" src="page.js"></script></body></html>`);
  writeFileSync(`${dir}/page.js`, script);
  return dir;
}

/** The real binary with such a page, a line to it, and the page opened over that line. */
export async function stage(t, chrome, { flags = [], context, ...page } = {}) {
  const server = await serve(t, "--page", pages(t, page), ...flags);
  const way = await line(t, server);
  const tab = await open(t, chrome, way.url, context);
  const stand = { server, line: way, page: tab, asked: asked(tab), files: folder(t) };
  await tab.waitForFunction(() => window.dw);
  return stand;
}

/** A file of random bytes to choose. */
export function dish({ files }, name, size) {
  return file(files, name, size);
}

/** Chooses the file and sends it by `upload`, with options that are data; `window.options` of the page hold the others. */
export async function send(stand, file, options = {}) {
  await stand.page.setInputFiles("#file", file.path);
  return following(stand.page, await stand.page.evaluate((options) => window.begin(document.getElementById("file").files[0], options), options));
}

/** The upload that is the `at`th of the page. */
export function following(page, at) {
  const look = () => page.evaluate((at) => window.look(window.uploads[at]), at);
  const until = async (pleases, wish) => {
    let last;
    await patiently(async () => pleases((last = await look())), () => `${wish}: still ${JSON.stringify(last)}`);
    return last;
  };
  return {
    at,
    look,
    until,
    /** Waits for a state, and a reason if one is named. */
    is: (state, reason) => until((now) => now.state === state && (reason === undefined || now.reason === reason), `${state} ${reason ?? ""}`),
    keeps: (bytes) => until(({ record }) => record?.offset >= bytes, `${bytes} bytes kept`),
    receives: (bytes) => until(({ record }) => record?.received >= bytes, `${bytes} bytes received`),
    pause: () => page.evaluate((at) => window.uploads[at].pause(), at),
    resume: () => page.evaluate((at) => window.uploads[at].resume(), at),
    cancel: () => page.evaluate((at) => window.uploads[at].cancel(), at),
    /** How it ended: the record, or the error's code. */
    done: () => page.evaluate((at) => window.uploads[at].done.catch(({ code }) => code), at),
    /** What was shown at each change. */
    changes: () => page.evaluate((at) => window.changes[at], at),
    /** The states in their order, each named once. */
    async states() {
      const states = (await this.changes()).map(({ state }) => state);
      return states.filter((state, i) => state !== states[i - 1]);
    },
  };
}

/** What the page asks of the server, and how it is answered: `METHOD status`, event streams and polls left out. */
function asked(page) {
  const all = [];
  page.on("request", (request) => {
    if (request.resourceType() !== "xhr") return;
    const entry = { method: request.method(), url: request.url(), headers: request.headers(), status: null };
    entry.answered = request.response().then((answer) => { entry.status = answer?.status() ?? null; }, () => {});
    all.push(entry);
  });
  const sending = () => all.filter(({ method }) => method !== "GET");
  return {
    all,
    sending,
    wire: () => wireOf(sending),
    /** Where each request with bytes began. */
    offsets: () => all.filter(({ method }) => method === "PATCH").map(({ headers }) => Number(headers["upload-offset"])),
  };
}
