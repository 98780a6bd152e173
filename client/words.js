/** Numbers, times and errors in words, as the page says them. */
/** @import { Upload, UploadError } from "./dumbwaiter.js" */

const UNITS = ["kB", "MB", "GB", "TB"];

/** Bytes in decimal units with two or three digits, rounded: "812 bytes", "8.1 MB", "412 MB". @param {number} bytes */
export function formatBytes(bytes) {
  return inUnits(Math.round(bytes), (unit) => unit / 2);
}

/** A limit in the same words, cut off: it never promises more than is taken. `src/sizes.rs` does the same. @param {number} bytes */
export function formatLimit(bytes) {
  return inUnits(bytes, () => 0);
}

/** @param {number} bytes @param {(unit: number) => number} more what is added before it is cut off at a unit */
function inUnits(bytes, more) {
  if (bytes < 1000) return `${bytes}\u00a0${bytes === 1 ? "byte" : "bytes"}`;
  const cut = (/** @type {number} */ unit) => Math.floor((bytes + more(unit)) / unit);
  let [unit, at] = [1000, 0];
  // 999.6 kB would round to 1000 kB.
  while (cut(unit) >= 1000 && at < UNITS.length - 1) [unit, at] = [unit * 1000, at + 1];
  const tenths = cut(unit / 10);
  return `${tenths < 100 ? (tenths / 10).toFixed(1) : cut(unit)}\u00a0${UNITS[at]}`;
}

/** "1 file", "3 files". @param {number} count */
export function countFiles(count) {
  return `${count} ${count === 1 ? "file" : "files"}`;
}

/** What there is to say, side by side. @param {string[]} parts empty ones are left out */
export function joinParts(parts, between = " · ") {
  return parts.filter(Boolean).join(between);
}

/** An estimate that grows has to stay this much higher … */
const GROWTH = 1.2;
/** … for this long before it is shown. */
const GROWTH_HOLDS_MS = 5000;

/** Seconds left in rounded words that do not jump: they shrink at once and grow only when the growth lasts. */
export class EtaWords {
  /** @type {number | null} */
  #shown = null;
  /** @type {number | null} */
  #higherSince = null;

  /** @param {number | null} seconds the newest estimate @param {number} now milliseconds on any steady clock */
  of(seconds, now) {
    if (seconds === null) this.#shown = this.#higherSince = null;
    else if (this.#shown === null || seconds <= this.#shown) [this.#shown, this.#higherSince] = [seconds, null];
    else if (seconds < this.#shown * GROWTH) this.#higherSince = null;
    else if (now - (this.#higherSince ??= now) >= GROWTH_HOLDS_MS) [this.#shown, this.#higherSince] = [seconds, null];
    return this.#shown === null ? { seen: "", spoken: "" } : wordsOf(this.#shown);
  }
}

/** @param {number} seconds */
function wordsOf(seconds) {
  if (seconds < 10) return { seen: "a\u00a0few\u00a0seconds", spoken: "a few seconds left" };
  const [number, short, long] =
    seconds < 50 ? [Math.ceil(seconds / 10) * 10, "s", "second"]
    : seconds < 57 * 60 ? [Math.round(seconds / 60), "min", "minute"]
    : [Math.round(seconds / 3600), "h", "hour"];
  return { seen: `about\u00a0${number}\u00a0${short}`, spoken: `about ${number} ${long}${number === 1 ? "" : "s"} left` };
}

const LATER = "Try again later.";
const BACK = "Retry when it is back.";
const SMALLER = "Choose a smaller one.";
const ASK = "Ask who runs this page.";

/** What happened and what to do, by code. Other codes come with the server's own sentence.
 * @type {{[code: string]: [string, string]}} */
const ERRORS = {
  app_failed: ["The server behind this page failed.", ASK],
  app_refused: ["The server behind this page does not take the file.", ASK],
  app_timeout: ["The server behind this page does not answer.", LATER],
  app_unreachable: ["The server behind this page does not answer.", LATER],
  ask_failed: ["The server could not find out whether you may.", LATER],
  bad_ticket: ["Your right to send has ended.", "Reload this page."],
  cancelled: ["The upload was ended on the server.", ASK],
  client_gone: ["The connection to the server broke.", BACK],
  connection_lost: ["The connection to the server broke.", BACK],
  disk_full: ["The disk here is full.", LATER],
  expired: ["The upload was not finished in time.", "Retry."],
  file_too_large: ["The file is larger than this server takes.", SMALLER],
  file_unreadable: ["The file has changed or cannot be read any more.", "Choose it again."],
  foreign_answer: ["Something on the way answered in the server's place.", "Retry when you are through it; a network's login page, say."],
  forbidden: ["Files are not taken from where you are.", ASK],
  hand_off_failed: ["The file is here, and the server behind this page did not take it.", ASK],
  http_413: ["A server on the way takes no file this large.", SMALLER],
  http_502: ["The server behind this page does not answer.", LATER],
  http_503: ["The server has too much to do.", LATER],
  http_504: ["The server behind this page does not answer.", LATER],
  limit_exceeded: ["The form holds more than this server takes.", "Send less at once."],
  name_taken: ["A file of that name is here already.", "Rename yours and choose it again."],
  not_found: ["Files are no longer taken here.", "Reload this page."],
  owner_limit: ["You have no room left here.", ASK],
  processing_timeout: ["The server behind this page has not said what became of the file.", ASK],
  request_too_large: ["The file is larger than this server takes at once.", SMALLER],
  shutting_down: ["The server is about to stop.", LATER],
  stalled: ["Nothing of the file came through for too long.", BACK],
  store_failed: ["The server could not store the file.", LATER],
  store_limit: ["There is no room left here.", LATER],
  took_too_long: ["Sending took longer than this server waits.", "Retry over a faster connection."],
  too_many_from_address: ["Too many uploads are running from your network.", LATER],
  too_many_unfinished: ["You have too many unfinished uploads.", "Retry when one of them has ended."],
  too_many_uploads: ["The server has too much to do.", LATER],
  too_slow: ["The file came through too slowly.", "Retry over a faster connection."],
  truncated_form: ["The file did not come through whole.", "Retry."],
  type_not_allowed: ["Files of this type are not taken here.", "Choose another file."],
  unauthorized: ["The server asks who you are.", "Reload this page and log in."],
  unusable_name: ["The file's name cannot be used here.", "Rename yours and choose it again."],
  upload_too_large: ["The file is larger than this server takes.", SMALLER],
};

/** What happened, what is kept, what to do. The code stands beside it. @param {Pick<Upload, "error" | "whole">} upload one that failed */
export function errorWords({ error, whole }) {
  if (error === null) return "";
  const [what, act] = ERRORS[error.code] ?? [sentence(error.message), "Choose another file, or ask who runs this page."];
  if (error.early) return `${sentence(error.message)} Nothing was sent. ${act}`;
  return `${what} ${keptWords(whole && error.code === "connection_lost")} ${act}`;
}

/** What is kept of an upload that ended early. @param {boolean} unsure whether the server may have had it whole */
export function keptWords(unsure) {
  return unsure ? "All of it was sent, so it may be here all the same." : "Nothing of it is kept.";
}

/**
 * What trying once more is called where it makes sense, else nothing.
 * @param {Pick<UploadError, "code" | "early">} error
 * @returns {"Retry" | "Send anyway" | ""}
 */
export function canRetry({ code, early }) {
  if (early) return code === "type_not_allowed" ? "Send anyway" : "";
  const act = ERRORS[code]?.[1] ?? "";
  return act === LATER || act.startsWith("Retry") || /^http_5/.test(code) ? "Retry" : "";
}

/** One line of an error as a sentence. @param {string} line */
function sentence(line) {
  const text = line.charAt(0).toUpperCase() + line.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
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
