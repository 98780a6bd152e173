/** Puts the files of the packages that the page uses beside it, into `page/vendor`. */
import { copyFileSync, mkdirSync } from "node:fs";
import { basename } from "node:path";

const FILES = ["jquery/dist/jquery.min.js", "jquery-form/dist/jquery.form.min.js", "jquery-ui/dist/jquery-ui.min.js"];

const vendor = new URL("page/vendor/", import.meta.url);
mkdirSync(vendor, { recursive: true });
for (const file of FILES) copyFileSync(new URL(`node_modules/${file}`, import.meta.url), new URL(basename(file), vendor));
