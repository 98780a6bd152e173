/**
 * What is said to who cannot see the bars: few words, seldom.
 *
 * One polite region speaks at the start, at every quarter but at most every 15 s, when the connection goes and comes
 * back, when everything is being stored, and at the end. An error is said once, at once. Bars are no live regions.
 */
import { countFiles } from "./words.js";

/** The shortest time between two spoken reports of progress. */
const SPEAK_EVERY_MS = 15_000;
/** Storing is worth a word only when it lasts. */
const STORING_LASTS_MS = 1000;
/** Errors that come together are spoken together. */
const GATHER_ERRORS_MS = 300;

/**
 * What is known of all uploads together when something may be worth saying.
 * @typedef {object} Progress
 * @property {number} files how many are to arrive or have arrived
 * @property {number} percent
 * @property {boolean} busy whether any has not ended
 * @property {boolean} storing whether all that has not ended is received whole
 * @property {string} ending how it all ended; empty when nobody needs to be told
 */

/** @typedef {{now: () => number, later: (act: () => void, ms: number) => void}} Clock milliseconds on a steady clock */

/** @type {Clock} */
const CLOCK = { now: () => performance.now(), later: (act, ms) => setTimeout(act, ms) };

/** The page's two live regions, and when they speak. */
export class Voice {
  #status;
  #alert;
  #clock;
  #busy = false;
  #files = 0;
  #quarter = 0;
  #spokenAt = 0;
  #storingSince = 0;
  /** @type {string[]} */
  #errors = [];

  /** @param {{textContent: string | null}} status @param {{textContent: string | null}} alert @param {Clock} clock */
  constructor(status, alert, clock = CLOCK) {
    this.#status = status;
    this.#alert = alert;
    this.#clock = clock;
  }

  /** Says a sentence when the reader has time for it. @param {string} sentence */
  say(sentence) {
    this.#status.textContent = sentence;
    this.#spokenAt = this.#clock.now();
  }

  /** Looks whether there is anything to say. @param {Progress} progress */
  follow(progress) {
    const [was, files] = [this.#busy, this.#files];
    this.#busy = progress.busy;
    this.#files = progress.files;
    if (!progress.busy) {
      if (was && progress.ending) this.say(progress.ending);
    } else if (!was) this.#start(progress);
    else if (progress.files > files) this.say(`${countFiles(progress.files - files)} more.`);
    else if (!this.#stores(progress)) this.#report(progress);
  }

  /** @param {Progress} progress */
  #start({ files, percent }) {
    this.#quarter = Math.floor(percent / 25);
    this.#storingSince = 0;
    this.say(`Sending ${countFiles(files)}.`);
  }

  /** Says once that everything is being stored. @param {Progress} progress */
  #stores({ storing }) {
    if (!storing) {
      this.#storingSince = 0;
      return false;
    }
    if (this.#storingSince === 0) this.#storingSince = this.#clock.now();
    if (this.#clock.now() - this.#storingSince >= STORING_LASTS_MS) {
      this.#storingSince = Infinity;
      this.say("Everything is received and being stored.");
    }
    return true;
  }

  /** @param {Progress} progress */
  #report({ files, percent }) {
    const quarter = Math.floor(percent / 25);
    if (quarter <= this.#quarter || this.#clock.now() - this.#spokenAt < SPEAK_EVERY_MS) return;
    this.#quarter = quarter;
    this.say(`${percent} percent of ${countFiles(files)}.`);
  }

  /** Says at once what needs attention. @param {string} sentence */
  alert(sentence) {
    this.#alert.textContent = sentence;
  }

  /** Says why a file did not arrive, once for all that fail together. @param {string} sentence */
  failed(sentence) {
    if (this.#errors.push(sentence) > 1) return;
    this.#clock.later(() => {
      const [first, ...others] = this.#errors.splice(0);
      this.alert(others.length ? `${first} And ${others.length} more did not arrive.` : `${first}`);
    }, GATHER_ERRORS_MS);
  }
}
