/**
 * What is said of uploads: numbers, times, states and errors in the words of the page's language, to the eye and to the
 * ear. `dumbwaiter.js` fetches it for its bar; who draws by himself uses it too.
 *
 *     Progress → statusWords → text and numbers for the eye, a sentence for the ear
 */
/** @import { Progress, State, UploadError } from "./dumbwaiter.js" */

/** A language: files of their own beside this one, of which that of the page's `lang` is fetched. @typedef {typeof import("./dumbwaiter.en.js").default} Words */

/** What is said now. Until a language is there its keys stand for it. @type {Partial<Words>} */
let words = {};
/** Those that say it, called when there are other words. @type {Set<() => void>} */
export const speakers = new Set();

/** Says everything in these words from now on. @param {Partial<Words>} table */
export function setWords(table) {
  words = table;
  for (const speak of speakers) speak();
}

/** Written out, so that bundlers find them. @type {Record<string, () => Promise<{default: Words}>>} */
const LANGUAGES = {
  en: () => import("./dumbwaiter.en.js"),
  de: () => import("./dumbwaiter.de.js"),
  fr: () => import("./dumbwaiter.fr.js"),
  es: () => import("./dumbwaiter.es.js"),
};

if (globalThis.document) (LANGUAGES[document.documentElement.lang.slice(0, 2).toLowerCase()] ?? LANGUAGES.en)?.().then((file) => words.language || setWords(file.default), () => {});

/** @param {Exclude<keyof Words, "errors">} key @param {(string | number)[]} parts what is put in */
export function say(key, ...parts) {
  return (words[key] ?? key).replace(/\{(\d)\}/g, (_, at) => `${parts[at]}`);
}

/** A number with its unit, as the language writes it; nothing breaks the line between the two. @param {number} number @param {string} unit @param {Intl.NumberFormatOptions} [how] */
function measure(number, unit, how) {
  return number.toLocaleString(words.language, { style: "unit", unit, unitDisplay: "short", ...how }).replace(/ /g, "\u00a0");
}

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

/** Bytes in decimal units with two or three digits, rounded: "812 bytes", "8.1 MB", "412 MB". @param {number} bytes */
export function formatBytes(bytes) {
  let [number, at] = [Math.round(bytes), 0];
  // 999.6 kB would round to 1000 kB.
  for (; number >= (at ? 999.5 : 1000) && UNITS[at + 1]; at += 1) number /= 1000;
  const digits = at && number < 9.95 ? 1 : 0;
  return measure(number, UNITS[at] ?? "", { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false, ...(at ? {} : { unitDisplay: "long" }) });
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

  /** @param {number | null} seconds the newest estimate @param {number} [now] milliseconds on any steady clock */
  of(seconds, now = performance.now()) {
    if (seconds === null) this.#shown = this.#higherSince = null;
    else if (this.#shown === null || seconds <= this.#shown) [this.#shown, this.#higherSince] = [seconds, null];
    else if (seconds < this.#shown * GROWTH) this.#higherSince = null;
    else if (now - (this.#higherSince ??= now) >= GROWTH_HOLDS_MS) [this.#shown, this.#higherSince] = [seconds, null];
    return this.#shown === null ? { seen: "", spoken: "" } : timeWords(this.#shown);
  }
}

/** @param {number} seconds */
function timeWords(seconds) {
  const [number, unit] = seconds < 50 ? [Math.ceil(seconds / 10) * 10, "second"] : seconds < 3420 ? [Math.round(seconds / 60), "minute"] : [Math.round(seconds / 3600), "hour"];
  const about = (/** @type {"short" | "long"} */ unitDisplay) => (seconds < 10 ? say("few") : say("about", measure(number, unit, { unitDisplay })));
  return { seen: about("short").replace(/ /g, "\u00a0"), spoken: say("left", about("long")).replace("\u00a0", " ") };
}

/** The time left of each, as it was said last. @type {WeakMap<Progress, EtaWords>} */
const etas = new WeakMap();

/** What is said of an upload: `text` and numbers for the eye, of which empty ones are left out, and `spoken` for the ear. @param {Progress} progress */
export function statusWords(progress) {
  const { state, size, record, reason, blind, silent, live, gone, kept, percent } = progress;
  const moves = state === "uploading" && !silent && !progress.stale;
  const eta = etas.get(progress) ?? new EtaWords();
  etas.set(progress, eta);
  const left = eta.of(moves && live && record ? record.eta : null);
  const whole = size === null ? "" : formatBytes(size);
  const part = size === null ? formatBytes(record?.received ?? 0) : say("of", formatBytes(size * (blind ? gone : kept)), whole);
  const text = moves ? reason && reasonWords(reason) : stateWords(progress);
  const far = say("percent", percent);
  return {
    text,
    size: state === "uploading" ? (blind ? say("sent", part) : part) : state === "waiting" || state === "done" ? whole : "",
    speed: moves && live && record?.rate ? `${formatBytes(record.rate)}/s` : "",
    left: left.seen,
    spoken: moves ? (left.spoken ? `${far}, ${left.spoken}` : far) : state === "error" ? say("failed", percent) : text,
  };
}

/** @param {Progress} progress @returns {string} */
function stateWords(progress) {
  const { state, record, reason, toldAt } = progress;
  if (state === "error") return errorWords(progress);
  if (state === "processing") return record?.phase?.name ?? say("processing");
  if (state === "waiting" && reason !== "connection_lost") return words.errors?.[reason]?.[0] ?? say(state);
  if (state === "done" || state === "waiting") return say(state);
  if (progress.stale && toldAt) return say("stale", new Date(toldAt).toLocaleTimeString(words.language));
  if (state === "uploading") return say("interrupted");
  return `${state === "interrupted" ? reasonWords(reason) : say(state)} ${keptWords(progress)}`;
}

/** @param {string} reason a key of the words, or a code */
function reasonWords(reason) {
  if (reason === "elsewhere" || reason === "restarted") return say(reason);
  return (reason !== "connection_lost" && words.errors?.[reason]?.[0]) || say("interrupted");
}

/** What is kept of an upload that rests or ended early; of one that was refused nothing is. @param {Progress} progress */
export function keptWords({ state, whole, resumable, kept, size, error, record }) {
  if (resumable && state !== "cancelled" && (!error || (canRetry(error) && !record?.error)) && kept && size) return say("kept", formatBytes(kept * size));
  return whole && (!error || error.code === "connection_lost") ? say("unsure") : say("none");
}

/** What happened, what is kept, what to do. The code stands beside it. @param {Progress} progress one that failed */
export function errorWords(progress) {
  const { error } = progress;
  if (!error) return "";
  const [what, act] = words.errors?.[error.code] ?? [asSentence(error.message), words.errors?.other?.[1] ?? ""];
  // What an app itself says of what it does not take, it says to the person; the server's own line is for who asks why.
  const { code, detail } = Object(error.reply?.body);
  const own = error.early || (error.code === "app_refused" && !code && detail);
  // A server that knows nothing of it does not say either what it kept.
  const kept = error.early ? say("unsent") : error.code === "gone" ? "" : keptWords(progress);
  return [own ? asSentence(error.message) : what, kept, act].filter(Boolean).join(" ");
}

/** Whether trying once more makes sense. @param {UploadError} error */
export function canRetry({ code, early, status }) {
  const passing = status < 400 || status >= 499 || [408, 410, 425, 429].includes(status) || code === "truncated_form";
  return passing && !early && code !== "file_unreadable";
}

/** What its two buttons do, as keys of the words; empty for what makes no sense. What cannot be resumed would begin anew after a pause. @param {Progress} progress */
export function actsOf({ state, error, ended, resumable }) {
  const runs = !ended && state !== "processing";
  const go = state === "cancelled" || (error && canRetry(error)) ? "retry" : state === "paused" ? "resume" : runs && resumable ? "pause" : "";
  return [go, runs ? "cancel" : ""];
}

/** One line of an error as a sentence. @param {string} line */
function asSentence(line) {
  const text = line.charAt(0).toUpperCase() + line.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** The shortest time between two spoken reports of progress. */
const SPEAK_EVERY_MS = 15_000;
/** Storing is worth a word only when it lasts. */
const STORING_LASTS_MS = 1000;

/**
 * What is said to who cannot see the bars: few words, seldom. At the start, at every quarter but at most every 15 s, when
 * everything is being stored, and at the end; errors at once.
 */
export class Voice {
  busy = false;
  #quarter = 0;
  spokenAt = 0;
  #storingSince = 0;

  /** @param {{textContent: string | null}} status @param {{textContent: string | null}} alert @param {() => number} now milliseconds on a steady clock */
  constructor(status, alert, now = () => performance.now()) {
    this.status = status;
    this.aloud = alert;
    this.now = now;
  }

  /** Says a sentence when the reader has time for it. @param {string} sentence */
  say(sentence) {
    this.status.textContent = sentence;
    this.spokenAt = this.now();
  }

  /** Says at once what needs attention. @param {string} sentence */
  alert(sentence) {
    this.aloud.textContent = sentence;
  }

  /** Looks whether there is anything to say. @param {{what: string, percent: number, busy: boolean, storing?: boolean, ending: string | false}} progress @param {string} start */
  follow({ what, percent, busy, storing, ending }, start = say("saySending", what)) {
    const was = this.busy;
    this.busy = busy;
    if (!busy) return void (was && ending && this.say(ending));
    const quarter = Math.floor(percent / 25);
    if (!was) {
      [this.#quarter, this.#storingSince] = [quarter, 0];
      return this.say(start);
    }
    if (storing) return this.#stores();
    this.#storingSince = 0;
    if (quarter <= this.#quarter || this.now() - this.spokenAt < SPEAK_EVERY_MS) return;
    this.#quarter = quarter;
    this.say(say("sayPart", percent, what));
  }

  #stores() {
    if (this.#storingSince === 0) this.#storingSince = this.now();
    if (this.now() - this.#storingSince < STORING_LASTS_MS) return;
    this.#storingSince = Infinity;
    this.say(say("sayStoring"));
  }
}

/** What a bar says of its one upload. */
export class BarVoice extends Voice {
  /** @type {State} */
  #was = "waiting";

  /** @param {Progress} progress @param {{text: string, spoken: string}} said */
  tell({ state, ended, name, percent }, { text, spoken }) {
    const [busy, now] = [!ended && state !== "waiting", `${name}: ${spoken}`];
    // Of a line that comes and goes no more is said than of one that stays; what still holds then is said then.
    if (busy && this.busy && /interrupted/.test(this.#was + state) && this.now() - this.spokenAt < SPEAK_EVERY_MS) state = this.#was;
    if (state !== this.#was && state === "error") this.alert(`${name}: ${text}`);
    // What changes on the way: it rests, goes on, is being stored.
    else if (state !== this.#was && busy && this.busy) this.say(now);
    this.#was = state;
    this.follow({ what: name, percent, busy, ending: state === "done" && say("sayDone", name) }, state === "uploading" ? undefined : now);
  }
}
