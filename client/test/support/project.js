/** Someone's own project: the package as it is published, installed into it, and built by Vite. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { folder } from "../support.js";

const CLIENT = fileURLToPath(new URL("../../", import.meta.url));
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; require-trusted-types-for 'script'";

/** What a program prints; it must end well. */
function run(program, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: "utf8" });
  assert.equal(status, 0, `${program} ${args.join(" ")}\n${error ?? ""}${stdout}${stderr}`);
  return stdout;
}

/** Packs the package as `npm publish` would: where it lies, and the paths in it. */
export function pack(t) {
  const dir = folder(t);
  const [{ filename, files }] = JSON.parse(run("npm", ["pack", "--json", "--pack-destination", dir], CLIENT));
  return { path: join(dir, filename), files: files.map(({ path }) => path).sort() };
}

/** A page with this in its body, which lets in nothing that is not its own. */
export function html(body, lang = "en") {
  return `<!doctype html><html lang="${lang}"><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>Dishes</title><link rel="icon" href="/favicon.ico">
${body}
</html>`;
}

/** A project of these files, with the package and others beside it that are named. Nothing comes over the network. */
export function project(t, packed, files, others = []) {
  const dir = folder(t);
  for (const [name, text] of Object.entries({ "package.json": '{ "private": true, "type": "module" }', ...files })) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", packed.path], dir);
  for (const name of others) {
    mkdirSync(dirname(join(dir, "node_modules", name)), { recursive: true });
    symlinkSync(join(CLIENT, "node_modules", name), join(dir, "node_modules", name));
  }
  return {
    dir,
    types: () => run(process.execPath, [join(CLIENT, "node_modules/typescript/bin/tsc"), "-p", "."], dir),
    /** What Vite makes of it, and the folder to serve. */
    async build(...plugins) {
      const { output } = await build({ root: dir, plugins, configFile: false, logLevel: "error", build: { outDir: "dist" } });
      return { dist: join(dir, "dist"), output };
    },
  };
}
