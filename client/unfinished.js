/** What an earlier visit left unfinished: a row for each, until its file is chosen again or it is given up. */
import { byId, drawBar, found } from "./dom.js";
import { Progress, forget, unfinished, watch } from "./dumbwaiter.js";
import { formatBytes } from "./dumbwaiter.words.js";
import { extensionOf, splitName } from "./words.js";

/** @typedef {ReturnType<typeof unfinished>[number]} Noted */

/** The rows of what was begun and is not sent now. */
export class Unfinished {
  /** @type {Map<string, {noted: Noted, element: Element, stop: () => void}>} */
  #rows = new Map();
  #changed;

  /** @param {HTMLElement} list @param {() => void} changed called when a row goes */
  constructor(list, changed) {
    this.#changed = changed;
    for (const noted of unfinished()) list.append(this.#row(noted));
    changed();
  }

  /** Takes the row away of a file that was chosen again. @param {File} file */
  taken({ name, size, lastModified }) {
    for (const { noted } of this.#rows.values())
      if (noted.name === name && noted.size === size && noted.lastModified === lastModified) this.#remove(noted);
  }

  /** @param {Noted} noted */
  #row(noted) {
    const copy = /** @type {DocumentFragment} */ (byId("unfinished", HTMLTemplateElement).content.cloneNode(true));
    const element = found(copy, ".row", HTMLLIElement);
    const [stem, end] = splitName(noted.name);
    found(element, ".stem", HTMLElement).textContent = stem;
    found(element, ".end", HTMLElement).textContent = end;
    found(element, ".name", HTMLElement).title = noted.name;
    found(element, ".type", HTMLElement).textContent = extensionOf(noted.name);
    found(element, ".bar", HTMLDivElement).setAttribute("aria-label", noted.name);
    const [choose, away] = [found(element, ".choose", HTMLButtonElement), found(element, ".away", HTMLButtonElement)];
    choose.setAttribute("aria-label", `Choose ${noted.name} again`);
    away.setAttribute("aria-label", `Remove ${noted.name}`);
    choose.onclick = () => byId("file", HTMLInputElement).click();
    away.onclick = () => this.#givenUp(noted);
    this.#rows.set(noted.key, { noted, element, stop: this.#follow(noted, element) });
    return element;
  }

  /** Draws what the server says is kept; a row goes when the server has the file whole, or knows nothing of it. @param {Noted} noted @param {Element} element */
  #follow(noted, element) {
    const progress = new Progress();
    const draw = (/** @type {number} */ kept) => {
      const percent = Math.min(99, Math.floor(100 * kept));
      drawBar(found(element, ".bar", HTMLDivElement), kept, kept);
      found(element, ".bar", HTMLDivElement).setAttribute("aria-valuenow", `${percent}`);
      found(element, ".percent", HTMLElement).textContent = `${percent}\u00a0%`;
      found(element, ".words", HTMLElement).textContent = `${formatBytes(kept * noted.size)} of ${formatBytes(noted.size)} are kept. Choose the file again to go on.`;
    };
    draw(noted.kept / noted.size);
    return watch(noted.url.split("/").pop() ?? "", (record) => {
      progress.told(record);
      if (progress.ended) this.#remove(noted);
      else draw(progress.kept);
    });
  }

  /** @param {Noted} noted */
  #givenUp(noted) {
    forget(noted);
    const next = this.#rows.get(noted.key)?.element.nextElementSibling?.querySelector("button");
    this.#remove(noted);
    (next ?? byId("file", HTMLInputElement)).focus();
  }

  /** @param {Noted} noted */
  #remove({ key }) {
    const row = this.#rows.get(key);
    this.#rows.delete(key);
    row?.stop();
    row?.element.remove();
    this.#changed();
  }
}
