/** Every block of docs/browser.md and of the package's README in Chromium, as it stands there: a file arrives by it. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import react from "@vitejs/plugin-react";
import vue from "@vitejs/plugin-vue";
import { MB, browser, file, folder, open, serve, serveByName, slow, until } from "./support.js";
import { html, pack, project } from "./support/project.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

const BLOCKS = ["../../docs/browser.md", "../../client/README.md", "../../README.md"].flatMap(blocksOf);

/** The blocks of a page: under which heading, in which language, and what stands there. */
function blocksOf(path) {
  const blocks = [];
  let title = "";
  for (const [, heading, language, code] of readFileSync(new URL(path, import.meta.url), "utf8").matchAll(/^#+ (.*)$|^```(css|html|js|jsx|ts|vue)\n([^]*?)^```$/gm)) {
    if (heading) title = heading;
    else blocks.push({ title, language, code, taken: false });
  }
  return blocks;
}

/** The next block under that heading in that language. */
function block(title, language) {
  const found = BLOCKS.find((one) => one.title === title && one.language === language && !one.taken);
  assert.ok(found, `there is no further ${language} under ${title}`);
  found.taken = true;
  return found.code;
}

/** Serves these files by the binary. */
async function site(t, files, start = serve, ...flags) {
  const dir = folder(t);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(dir, name, ".."), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return start(t, "--page", dir, ...flags);
}

/** Chooses a file, and presses the button if there is one; then its bar says that it is there, and so it is. */
async function sends(t, page, server, { press = true, name = "paella.bin", size = 3 * MB } = {}) {
  const sent = file(folder(t), name, size);
  await page.setInputFiles("input[type=file]", sent.path);
  if (press) await page.getByRole("button", { name: "Send" }).click();
  await page.locator(`dumbwaiter-progress[state=done]`).getByText(name).first().waitFor();
  await until(server.stored, (names) => names.includes(name) && server.read(name).equals(sent.bytes));
}

test("the first lines: a form has a bar by its attribute alone", async (t) => {
  const server = await site(t, { "index.html": html(block("In the browser", "html")) });
  await sends(t, await open(t, chrome, server.url), server);
});

test("sending a file: it is paused and goes on by a button, and the page says that it is there", async (t) => {
  const body = `${block("Sending a file", "html")}<script type="module" src="/send.js"></script>`;
  const server = await site(t, { "index.html": html(body), "send.js": block("Sending a file", "js") });
  const page = await open(t, chrome, server.url);
  await slow(page, 500_000);
  const sent = file(folder(t), "paella.bin", 3 * MB);
  await page.setInputFiles("input[type=file]", sent.path);
  await page.locator("dumbwaiter-progress[state=uploading]").waitFor();
  const button = page.locator("body > button");
  await button.click();
  await page.locator("dumbwaiter-progress[state=paused]").waitFor();
  await slow(page, -1);
  await button.click();
  await page.waitForFunction(() => document.title === "paella.bin is there");
  assert.ok(server.read("paella.bin").equals(sent.bytes));
});

test("Forms: a page that says itself what comes after", async (t) => {
  const form = `<form data-dumbwaiter action="/upload" method="post"><input type="file" name="picture"><button>Send</button></form>`;
  const server = await site(t, { "index.html": html(`<script type="module" src="/dumbwaiter.js"></script><script src="own.js"></script>${form}`), "own.js": block("Forms", "js") });
  const page = await open(t, chrome, server.url);
  await sends(t, page, server);
  await page.getByText("Taken: 201").waitFor();
  assert.notEqual(await page.inputValue("[type=file]"), "");
});

/** The address of a page that an own little server on this host shows. */
async function elsewhere(t, host, text) {
  const app = createServer((_, response) => response.setHeader("Content-Type", "text/html").end(text()));
  await new Promise((resolve) => app.listen(0, "127.0.0.1", resolve));
  t.after(() => app.close(app.closeAllConnections()));
  return `http://${host}:${app.address().port}`;
}

/** A page that lets in what stands at a server of another origin. */
function within(body, server) {
  return html(body).replace(/(script|connect)-src 'self'/g, `$& ${new URL(server.url).origin}`);
}

test("README: a form of any page on this machine has a bar", async (t) => {
  const server = await serve(t);
  const text = within(block("A bar for any form", "html").replaceAll("http://127.0.0.1:7070/", server.url), server);
  const page = await open(t, chrome, await elsewhere(t, "127.0.0.1", () => text));
  await sends(t, page, server);
});

test("a page of another origin sends by the module that stands at the server, and plain http is enough", async (t) => {
  const lines = block("A strict policy, another origin, plain http", "html");
  let text = "";
  const origin = await elsewhere(t, "app.example", () => text);
  const server = await serveByName(t, "--allow-origin", origin);
  text = within(lines.replaceAll("https://files.example/", server.url), server);
  const page = await open(t, chrome, origin);
  assert.equal(await page.evaluate(() => isSecureContext), false);
  await sends(t, page, server);
});

/** An upload that is there: its watch name. */
async function watchName(server) {
  const form = new FormData();
  form.append("picture", new Blob(["dish"]), "paella.jpg");
  const { watch } = await (await fetch(`${server.url}upload`, { method: "POST", body: form })).json();
  return watch;
}

test("The bar: an upload is shown by its watch name alone", async (t) => {
  const server = await site(t, { "index.html": html(block("The bar", "html")) });
  const page = await open(t, chrome, "about:blank");
  const name = await watchName(server);
  await page.route(server.url, async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()).replaceAll("NAME", name) });
  });
  await page.goto(server.url);
  await page.locator("dumbwaiter-progress[state=done]").getByText("paella.jpg").waitFor();
});

test("a file that is chosen gets a bar of its own, in the page's colours and words", async (t) => {
  const words = block("Words and languages", "js");
  const files = { "send.js": block("The bar", "js"), "words.js": words, "page.css": block("Styling", "css") };
  const body = '<link rel="stylesheet" href="page.css"><label>File <input type="file" multiple></label><script type="module" src="send.js"></script><script type="module" src="words.js"></script>';
  const server = await site(t, { "index.html": html(body), ...files });
  const page = await open(t, chrome, server.url);
  await sends(t, page, server, { press: false });
  const bar = page.locator("dumbwaiter-progress");
  await bar.getByText("On the table").first().waitFor();
  assert.equal(await bar.locator("[part=name]").evaluate((name) => getComputedStyle(name).fontWeight), "600");
  assert.equal(await bar.locator("[part=kept]").evaluate((kept) => getComputedStyle(kept).backgroundColor), "rgb(102, 51, 153)");
});

/** A page of a project that is built, in Chromium. */
async function built(t, files, { plugins = [], others = [], body = '<div id="app"></div>' } = {}) {
  const defaults = block("From npm", "js");
  BLOCKS.find(({ title }) => title === "From npm").taken = false;
  const own = project(t, pack(t), { "index.html": html(`${body}<script type="module" src="/main.js"></script>`), ...files, "main.js": `${defaults}${files["main.js"]}` }, others);
  const { dist } = await own.build(...plugins);
  const server = await serve(t, "--page", dist);
  return { own, server, page: await open(t, chrome, server.url) };
}

const REACT_MAIN = `
import { StrictMode, createElement } from "react";
import { createRoot } from "react-dom/client";
import { Pictures } from "./pictures.jsx";

createRoot(document.getElementById("app")).render(createElement(StrictMode, null, createElement(Pictures)));
`;

test("React: each file has its bar, and its link when it has arrived", async (t) => {
  const files = { "main.js": REACT_MAIN, "pictures.jsx": block("React", "jsx") };
  const { page, server } = await built(t, files, { plugins: [react()], others: ["react", "react-dom"] });
  await sends(t, page, server, { press: false });
  await sends(t, page, server, { press: false, name: "soup.bin", size: 1_000 });
  assert.equal(await page.locator("dumbwaiter-progress").count(), 2);
  assert.equal((await page.request.get(await page.getByRole("link", { name: "soup.bin" }).evaluate((link) => link.href))).status(), 200);
});

const TYPED = `
import { upload } from "dumbwaiter-client";

export const bar = <dumbwaiter-progress progress={upload(new File([], "a"))} className="wide" />;
// @ts-expect-error no upload
export const wrong = <dumbwaiter-progress progress="a" />;
`;

test("React: the lines for TypeScript let the element stand in JSX, and no wrong property", (t) => {
  const compilerOptions = { strict: true, noEmit: true, jsx: "react-jsx", target: "es2022", module: "es2022", moduleResolution: "bundler", types: [] };
  const files = { "tsconfig.json": JSON.stringify({ compilerOptions, files: ["bar.tsx", "jsx.ts"] }), "bar.tsx": TYPED, "jsx.ts": block("React", "ts") };
  assert.equal(project(t, pack(t), files, ["react", "@types/react", "csstype"]).types(), "");
});

const VUE_MAIN = `
import { createApp } from "vue";
import Pictures from "./Pictures.vue";

createApp(Pictures).mount("#app");
`;

test("Vue: each file has its bar", async (t) => {
  const guide = readFileSync(new URL("../../docs/browser.md", import.meta.url), "utf8");
  const setting = /`vue\((\{.*?\})\)`/s.exec(guide)[1];
  const options = new Function(`return ${setting}`)();
  const files = { "main.js": VUE_MAIN, "Pictures.vue": block("Vue", "vue") };
  const { page, server } = await built(t, files, { plugins: [vue(options)], others: ["vue"] });
  await sends(t, page, server, { press: false });
  await sends(t, page, server, { press: false, name: "soup.bin", size: 1_000 });
  assert.equal(await page.locator("dumbwaiter-progress").count(), 2);
});

/** An app with a form of htmx, whose answer to a dish is a line for the list, or says what is wrong with it. */
async function kitchen(t) {
  const htmx = readFileSync(new URL("../node_modules/htmx.org/dist/htmx.min.js", import.meta.url));
  const config = `<meta name="htmx-config" content='{"includeIndicatorCSS": false}'>`;
  const page = html(`${config}<script src="/htmx.js"></script><script type="module" src="/page.js"></script>${block("htmx", "html")}`).replace(/; require-trusted.*?(?=")/, "");
  const files = { "/": ["text/html", page], "/htmx.js": ["text/javascript", htmx], "/page.js": ["text/javascript", block("htmx", "js")] };
  const app = createServer(async (request, response) => {
    const [type, text] = files[request.url] ?? ["text/html", ""];
    if (request.method === "GET") return response.writeHead(text ? 200 : 404, { "Content-Type": type }).end(text);
    const body = Buffer.concat(await request.toArray()).toString("latin1");
    const name = /filename="(.*?)"/.exec(body)[1];
    const [status, line] = name === "soup.bin" ? [422, "No soup today."] : [200, `${name}, by ${request.headers["hx-request-type"]}`];
    response.writeHead(status, { "Content-Type": "text/html" }).end(`<li>${line}</li>`);
  });
  await new Promise((resolve) => app.listen(0, "127.0.0.1", resolve));
  t.after(() => app.close(app.closeAllConnections()));
  return serve(t, "--app", `http://127.0.0.1:${app.address().port}`, "--upload-path", "/dishes");
}

test("htmx: the form's bytes go up with a bar, and htmx swaps in what the app answers, be it a refusal", async (t) => {
  const server = await kitchen(t);
  const page = await open(t, chrome, new URL("/", server.url).href);
  const choose = async (name) => {
    await page.setInputFiles("input[type=file]", file(folder(t), name, 3 * MB).path);
    await page.getByRole("button", { name: "Send" }).click();
  };
  await choose("paella.bin");
  await page.locator("dumbwaiter-progress[state=done]").waitFor();
  await page.locator("#dishes").getByText("paella.bin, by partial").waitFor();
  await choose("soup.bin");
  await page.locator("#dishes").getByText("No soup today.").waitFor();
  await page.locator("dumbwaiter-progress[state=error]").waitFor();
  assert.equal(await page.locator("#dishes li").count(), 2);
});

test("Watching: what has come of an upload stands beside its name on anybody's page", async (t) => {
  const form = new FormData();
  form.append("file", new Blob(["12345"]), "paella.jpg");
  const files = { "watch.js": block("Watching", "js"), "index.html": html(`${block("Watching", "html")}<script type="module" src="/watch.js"></script>`) };
  const server = await site(t, files);
  const { watch, received } = await (await fetch(`${server.url}upload`, { method: "POST", body: form, headers: { accept: "application/json" } })).json();
  const page = await open(t, chrome, "about:blank");
  await page.route(server.url, async (route) => {
    const response = await route.fetch();
    return route.fulfill({ response, body: (await response.text()).replace("NAME", watch) });
  });
  await page.goto(server.url);
  await page.getByText(`The picture: done, ${received} of ${received} bytes`, { exact: true }).waitFor();
});

test("Over reloads: what was left unfinished is named after a reload, and can be given up", async (t) => {
  const files = { "list.js": block("Over reloads and tabs", "js"), "index.html": html(`${block("Over reloads and tabs", "html")}<script type="module" src="/list.js"></script>`) };
  const server = await site(t, files);
  const page = await open(t, chrome, server.url);
  await slow(page, 2 * MB);
  await page.evaluate(async (size) => {
    const { upload } = await import("/dumbwaiter.js");
    window.one = upload(new File([new Uint8Array(size)], "paella.bin"));
  }, 12 * MB);
  await page.waitForFunction((bytes) => window.one.record?.offset >= bytes, MB);
  await page.reload();
  await page.getByText(/paella\.bin: \d\.\d\sMB are kept/).waitFor();
  await page.getByRole("button", { name: "Remove" }).click();
  await until(server.stored, (names) => names.length === 0);
  assert.equal(await page.locator("li").count(), 0);
});

test("what the package's own page shows sends a file", async (t) => {
  const lines = block("dumbwaiter-client", "js");
  const [imported, ...rest] = lines.split("\n");
  const main = `${imported}\ndocument.querySelector("input").onchange = async () => { ${rest.join("\n")} document.title = url; };`;
  const own = project(t, pack(t), { "index.html": html('<label>File <input type="file"></label><dumbwaiter-progress></dumbwaiter-progress><script type="module" src="/main.js"></script>'), "main.js": main });
  const { dist } = await own.build();
  const server = await serve(t, "--page", dist);
  const page = await open(t, chrome, server.url);
  await sends(t, page, server, { press: false });
  await page.waitForFunction(() => document.title.includes("/files/"));
});

test("no block of the guide is left out", () => {
  block("From npm", "js");
  assert.deepEqual(BLOCKS.filter(({ taken }) => !taken).map(({ title, language }) => `${title}: ${language}`), []);
});
