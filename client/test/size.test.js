/** What the module costs a page. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { minifySync } from "vite";

/** Most bytes, minified and gzipped. */
const BUDGET = 10_240;

/** As Vite makes it smaller, and servers then send it. */
function sizeOf(name) {
  const { code, errors } = minifySync(name, readFileSync(new URL(`../${name}`, import.meta.url), "utf8"), { module: true });
  assert.deepEqual(errors, []);
  return gzipSync(code, { level: 9 }).length;
}

test("the module has at most 10 KB, minified and gzipped; what speaks comes after it, and any language in 2 KB", (t) => {
  const languages = ["de", "en", "es", "fr"].map((language) => `dumbwaiter.${language}.js`);
  const [module, words, ...sizes] = ["dumbwaiter.js", "dumbwaiter.words.js", ...languages].map(sizeOf);
  t.diagnostic(`dumbwaiter.js ${module} bytes of ${BUDGET}; dumbwaiter.words.js ${words}; its languages ${sizes.join(", ")}`);
  assert.ok(module <= BUDGET, `${module} bytes are more than ${BUDGET}`);
  assert.ok(words <= 2_200, `${words}`);
  assert.ok(Math.max(...sizes) <= 2_048, `${sizes}`);
});
