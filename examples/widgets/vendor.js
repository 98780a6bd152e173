/** Puts the packages that the pages use beside them, into `page/vendor`: one module and one style sheet each. */
import { copyFileSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const MODULES = {
  dropzone: 'export { default as Dropzone } from "dropzone";',
  filepond: 'export { create } from "filepond";',
  tus: 'export { Upload } from "tus-js-client";',
  uppy: `export { default as Uppy } from "@uppy/core"; export { default as Dashboard } from "@uppy/dashboard";
    export { default as Tus } from "@uppy/tus"; export { default as XHRUpload } from "@uppy/xhr-upload";`,
};
const STYLES = {
  "dropzone.css": "dropzone/dist/dropzone.css",
  "filepond.css": "filepond/dist/filepond.min.css",
  "uppy.css": "@uppy/core/dist/style.min.css",
  "uppy-dashboard.css": "@uppy/dashboard/dist/style.min.css",
};

const here = fileURLToPath(new URL(".", import.meta.url));
const vendor = `${here}page/vendor/`;
mkdirSync(vendor, { recursive: true });
for (const [name, path] of Object.entries(STYLES)) copyFileSync(`${here}node_modules/${path}`, vendor + name);
for (const [name, contents] of Object.entries(MODULES)) {
  const stdin = { contents, resolveDir: here };
  await build({ stdin, outfile: `${vendor}${name}.js`, bundle: true, minify: true, format: "esm", target: "es2022", legalComments: "inline" });
}
