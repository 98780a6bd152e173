/** The npm package: what is in it, and a strict TypeScript project with it, built by Vite, in Chromium. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, before, test } from "node:test";
import { MB, browser, file, folder, open, serve } from "./support.js";
import { html, pack, project } from "./support/project.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

const LANGUAGES = ["de", "en", "es", "fr"];

const TSCONFIG = JSON.stringify({
  compilerOptions: { strict: true, noEmit: true, target: "es2022", module: "es2022", moduleResolution: "bundler", lib: ["es2022", "dom", "dom.iterable"], types: [] },
  files: ["main.ts"],
});

/** Speaks of all that is exported, and would not be built where a type were missing or too wide. */
const MAIN = `
import { UploadError, defaults, enhance, forget, unfinished, upload, watch } from "dumbwaiter-client";
import { formatBytes, setWords } from "dumbwaiter-client/words";
import type { DumbwaiterProgress, Options, Progress, State, Upload, UploadRecord } from "dumbwaiter-client";
import german from "dumbwaiter-client/de";

defaults.server = "/";
setWords({ ...german, done: "Ist da" });
const options: Partial<Options> = { fields: { dish: "12" }, checksum: true };
// @ts-expect-error no such option
const wrong: Partial<Options> = { chunkSize: 5 };

const bar: DumbwaiterProgress | null = document.querySelector("dumbwaiter-progress");
const input = document.querySelector("input");
const shown = document.querySelector("output");
input?.addEventListener("change", async () => {
  const [file] = input.files ?? [];
  if (!file || !bar || !shown) return;
  const one: Upload = upload(file, options);
  bar.progress = one;
  one.addEventListener("change", () => {
    const state: State = one.state;
    // @ts-expect-error no such state
    if (state === "finished") return;
    document.title = \`\${state} \${one.percent} \${one.kept} \${one.gone} \${one.live} \${one.reason}\`;
  });
  try {
    const record: UploadRecord = await one.done;
    shown.value = \`\${record.state} \${formatBytes(record.length ?? 0)}\`;
    const stop: () => void = watch([record.id ?? ""], (told: UploadRecord | null) => told?.state);
    stop();
  } catch (error) {
    if (error instanceof UploadError) shown.value = error.code;
  }
  one.pause(), one.resume(), one.cancel();
  for (const entry of await unfinished()) await forget(entry);
});

const form = document.querySelector("form");
form?.addEventListener("dumbwaiter-done", ({ detail }) => console.log(detail.upload.name, detail.record.id, detail.answer?.status));
form?.addEventListener("dumbwaiter-error", ({ detail }) => console.log(detail.error.code));
if (form) enhance(form, { ...options })();
export const last: Progress | null = bar?.progress ?? wrong.ticket === null ? null : null;
`;

const PAGE = html('<label>File <input type="file"></label><dumbwaiter-progress></dumbwaiter-progress><output></output><form></form><script type="module" src="/main.ts"></script>', "de");

test("the package holds what browsers run, its types, what it is and its licences, and nothing else", (t) => {
  const modules = ["dumbwaiter.js", "dumbwaiter.words.js", ...LANGUAGES.map((language) => `dumbwaiter.${language}.js`)];
  const types = modules.map((name) => `types/${name.replace(".js", ".d.ts")}`);
  const others = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "package.d.ts", "package.json"];
  assert.deepEqual(pack(t).files, [...modules, ...types, ...others].sort());
});

test("a strict TypeScript project sends a file with it, each language is a chunk of its own, and no policy is broken", async (t) => {
  const own = project(t, pack(t), { "index.html": PAGE, "main.ts": MAIN, "tsconfig.json": TSCONFIG });
  assert.equal(own.types(), "");
  const { dist, output } = await own.build();
  const chunks = output.filter(({ isDynamicEntry }) => isDynamicEntry).map(({ name }) => name);
  // German is part of this page's own script, which imports it by name.
  for (const language of LANGUAGES.filter((language) => language !== "de")) assert.ok(chunks.includes(`dumbwaiter.${language}`), `${chunks}`);
  const server = await serve(t, "--page", dist);
  const page = await open(t, chrome, server.url);
  const sent = file(folder(t), "paella.bin", 3 * MB);
  await page.setInputFiles("input", sent.path);
  await page.getByText("done 3,0 MB").waitFor();
  await page.locator("dumbwaiter-progress").getByText("Ist da").waitFor();
  assert.ok(server.read("paella.bin").equals(sent.bytes));
});

test("where there is no browser, as when a page is written by a server, the package loads and does nothing", (t) => {
  const { dir } = project(t, pack(t), {});
  const script = 'const { defaults, upload } = await import("dumbwaiter-client"); console.log(typeof upload, defaults.field)';
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { cwd: dir, encoding: "utf8" });
  assert.equal(stdout.trim(), "function file", stderr);
});
