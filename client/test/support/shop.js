/** An app of today behind Dumbwaiter: its pages have forms with `data-dumbwaiter`, under the strictest policy that lets them work. */
import { createServer } from "node:http";
import { serve } from "../support.js";

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; require-trusted-types-for 'script'; trusted-types 'none'";

export const FORM = `<form data-dumbwaiter action="/dishes" method="post" enctype="multipart/form-data">
  <label>Name <input name="name" value="paella"></label><label>Picture <input type="file" name="picture"></label>
  <button id="go" name="go" value="now">Send</button></form>`;

/** A whole page around what is in it. */
export const html = (title, body, head = "") => `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>${title}</title><link rel="icon" href="data:,">${head}<script type="module" src="/_dumbwaiter/dumbwaiter.js"></script></head><body><main><h1>${title}</h1>${body}</main></body></html>`;

/** What a form that came says, by its fields; of a file its name and bytes. */
export async function said({ type, body }) {
  const form = await new Response(body, { headers: { "content-type": type } }).formData();
  return Promise.all([...form].map(async ([name, value]) => [name, typeof value === "string" ? value : [value.name, Buffer.from(await value.arrayBuffer())]]));
}

/**
 * The app, and Dumbwaiter before it. `answers` are given in turn to what is posted, the last one again and again: functions of
 * the request and the answer; `pages` are its pages by path. `posts` and `gets` are all that the app was asked.
 */
export async function shop(t, { pages = {}, answers = [], flags = ["--upload-path", "/dishes"] }) {
  const [posts, gets] = [[], []];
  const app = createServer(async (request, answer) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    answer.setHeader("Content-Security-Policy", POLICY);
    answer.setHeader("Content-Type", "text/html; charset=utf-8");
    if (request.method === "POST") {
      posts.push({ path: request.url, headers: request.headers, type: request.headers["content-type"], body: Buffer.concat(chunks) });
      return answers[Math.min(posts.length, answers.length) - 1](request, answer);
    }
    const { pathname } = new URL(request.url, "http://app");
    gets.push(request.url);
    if (pathname.endsWith(".css")) answer.setHeader("Content-Type", "text/css");
    if (pathname.endsWith(".js")) answer.setHeader("Content-Type", "text/javascript");
    const page = pages[pathname];
    const text = typeof page === "function" ? page(request, answer) : page;
    answer.writeHead(text === undefined ? 404 : 200).end(text);
  });
  const listen = (port) => new Promise((resolve) => app.listen(port, "127.0.0.1", resolve));
  await listen(0);
  const { port } = app.address();
  const close = () => new Promise((resolve) => app.close(resolve) && app.closeAllConnections());
  t.after(close);
  const server = await serve(t, "--app", `http://127.0.0.1:${port}`, ...flags);
  const url = server.url.replace(/_dumbwaiter\/$/, "");
  return { ...server, url, posts, gets, close, listen: () => listen(port) };
}

/** What the bar in a page says. */
export const bar = (page, part = "status") => page.locator(`dumbwaiter-progress [part~=${part}]`);

/** Keeps what the events of forms say, of all forms, over what else happens on the page. */
export function hear(page) {
  return page.evaluate(() => {
    window.heard = [];
    for (const what of ["start", "done", "error", "shown"]) {
      document.addEventListener(`dumbwaiter-${what}`, ({ target, detail }) => window.heard.push([what, target.localName, detail?.upload.state ?? "", detail?.error?.code ?? detail?.answer?.status ?? ""]));
    }
  });
}
