/** The guide's table of clients is of those that are tested here. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");

test("the clients whose behaviour the guide tells have the versions that it names", () => {
  const guide = read("../../docs/clients.md").replaceAll("\n", " ").replaceAll("`", "");
  const { packages } = JSON.parse(read("../package-lock.json"));
  const ours = ["tus-js-client", "@uppy/core", "@uppy/tus", "@uppy/xhr-upload", "filepond", "dropzone"].map((name) => `${name} ${packages[`node_modules/${name}`].version}`);
  const tuspy = /^tuspy==(.*)$/m.exec(read("support/requirements.txt"))[1];
  for (const named of [...ours, `tuspy ${tuspy}`]) assert.ok(guide.toLowerCase().includes(named), `the guide does not speak of ${named}`);
});
