/** What the page says besides what the module has words for: counts, limits and names. */
import { formatBytes } from "./dumbwaiter.words.js";

/** A limit in the words of `formatBytes`, cut off: it never promises more than is taken. `src/sizes.rs` does the same. @param {number} bytes */
export function formatLimit(bytes) {
  let unit = 1;
  while (bytes >= 1000 * unit && unit < 1e12) unit *= 1000;
  const step = unit > 1 && bytes < 10 * unit ? unit / 10 : unit;
  return formatBytes(Math.floor(bytes / step) * step);
}

/** "1 file", "3 files". @param {number} count */
export function countFiles(count) {
  return `${count} ${count === 1 ? "file" : "files"}`;
}

/** What there is to say, side by side. @param {string[]} parts empty ones are left out */
export function joinParts(parts, between = " · ") {
  return parts.filter(Boolean).join(between);
}

// ---- Names -----------------------------------------------------------------------------------------------------

/** The longest ending that is shown as one. */
const LONGEST_EXTENSION = 8;

/** A name in two parts: the first is cut where room is short, the second keeps the ending. @param {string} name @returns {[string, string]} */
export function splitName(name) {
  const letters = lettersOf(name);
  const dot = letters.lastIndexOf(".");
  const kept = dot > 0 && letters.length - dot <= LONGEST_EXTENSION ? letters.length - dot + 3 : 6;
  const cut = Math.max(0, letters.length - kept);
  return [letters.slice(0, cut).join(""), letters.slice(cut).join("")];
}

/** What a reader takes for letters; code points where the browser cannot tell (Firefox before 125). @param {string} text */
function lettersOf(text) {
  if (!("Segmenter" in Intl)) return Array.from(text);
  return Array.from(new Intl.Segmenter().segment(text), ({ segment }) => segment);
}

/** "PDF" of "menu.pdf"; empty for a name without a short ending. @param {string} name */
export function extensionOf(name) {
  return (/[^.]\.([a-z0-9]{1,4})$/i.exec(name)?.[1] ?? "").toUpperCase();
}

/** What a pasted picture is called: "Pasted 2026-11-22 at 16.53.07.png". @param {string} type @param {Date} when */
export function pastedName(type, when) {
  const two = (/** @type {number} */ number) => `${number}`.padStart(2, "0");
  const day = [when.getFullYear(), two(when.getMonth() + 1), two(when.getDate())].join("-");
  const time = [when.getHours(), when.getMinutes(), when.getSeconds()].map(two).join(".");
  const ending = /^image\/(\w+)/.exec(type)?.[1]?.replace("jpeg", "jpg");
  return `Pasted ${day} at ${time}${ending ? `.${ending}` : ""}`;
}
