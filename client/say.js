/** What the page says of all its uploads together; when and how seldom is the module's `Voice`. */
import { Voice } from "./dumbwaiter.words.js";
import { countFiles } from "./words.js";

/** Errors that come together are spoken together. */
const GATHER_ERRORS_MS = 300;

/**
 * What is known of all uploads together when something may be worth saying.
 * @typedef {object} All
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
export class PageVoice {
  #voice;
  #clock;
  #files = 0;
  #busy = false;
  /** @type {string[]} */
  #errors = [];

  /** @param {{textContent: string | null}} status @param {{textContent: string | null}} alert @param {Clock} clock */
  constructor(status, alert, clock = CLOCK) {
    this.#voice = new Voice(status, alert, clock.now);
    this.#clock = clock;
  }

  /** Says a sentence when the reader has time for it. @param {string} sentence */
  say(sentence) {
    this.#voice.say(sentence);
  }

  /** Says at once what needs attention. @param {string} sentence */
  alert(sentence) {
    this.#voice.alert(sentence);
  }

  /** Looks whether there is anything to say. @param {All} all */
  follow(all) {
    const more = this.#busy && all.busy ? all.files - this.#files : 0;
    [this.#busy, this.#files] = [all.busy, all.files];
    if (more > 0) this.say(`${countFiles(more)} more.`);
    else this.#voice.follow({ ...all, what: countFiles(all.files) });
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
