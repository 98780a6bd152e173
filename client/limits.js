/**
 * What the server takes, known before anything is sent: it writes its limits into the page's form.
 *
 * Only what is sure to be refused is refused here. Bytes decide a file's type on the server, and all that a browser
 * knows is its name; so a type that is not taken can be sent anyway.
 */
import { formatBytes } from "./dumbwaiter.words.js";
import { formatLimit } from "./words.js";

/** @typedef {{code: string, message: string}} Reason the server's code, and one line for people */

/** Groups that a name's ending tells well enough; what is `text` or `application` is the server's to find out. */
const PLAIN_GROUPS = ["image", "audio", "video"];

/** The limits of one form. */
export class Limits {
  #file;
  #upload;
  #types;

  /** @param {{maxFileSize?: number, maxUploadSize?: number, types?: string[]}} limits bytes, and types or groups of types */
  constructor({ maxFileSize = Infinity, maxUploadSize = Infinity, types = [] }) {
    this.#file = maxFileSize;
    this.#upload = maxUploadSize;
    this.#types = types;
  }

  /** Reads what the server wrote. @param {HTMLFormElement} form @param {HTMLInputElement} input */
  static of(form, input) {
    const { maxFileSize, maxUploadSize } = form.dataset;
    const types = input.accept.split(",").map((type) => type.trim()).filter(Boolean);
    return new Limits({ maxFileSize: bytes(maxFileSize), maxUploadSize: bytes(maxUploadSize), types });
  }

  /** Why the server would not take this file, if that is known. @param {{size: number, type: string}} file @returns {Reason | null} */
  refuse({ size, type }) {
    const most = Math.min(this.#file, this.#upload);
    if (size > most) {
      const code = this.#file <= this.#upload ? "file_too_large" : "upload_too_large";
      const [has, takes] = [formatBytes(size), formatLimit(most)];
      const message = has === takes ? `The file has a little more than the ${takes} that are taken here.`
        : `The file has ${has}, and at most ${takes} are taken here.`;
      return { code, message };
    }
    if (this.#takes(type)) return null;
    return { code: "type_not_allowed", message: `By its name the file is ${type}, which is not taken here.` };
  }

  /** @param {string} type empty when the browser knows none */
  #takes(type) {
    if (type === "" || this.#types.length === 0) return true;
    const group = type.split("/", 1)[0] ?? "";
    const covered = this.#types.some((one) => [type, `${group}/*`, "*/*"].includes(one));
    if (covered || PLAIN_GROUPS.includes(group)) return covered;
    return this.#types.some((one) => !PLAIN_GROUPS.includes(one.split("/", 1)[0] ?? ""));
  }
}

/** @param {string | undefined} text */
function bytes(text) {
  return text ? Number(text) : Infinity;
}
