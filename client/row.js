/**
 * One file's row: what it is called, how far it has come, and what can be done about it.
 *
 * What is known of an upload comes from `dumbwaiter.js`; nothing here guesses. Bars move when the server or the network
 * says so; words change at most once a second, so that they can be read.
 */
import { byId, drawBar, found, writeParts } from "./dom.js";
import { canRetry, formatBytes, statusWords } from "./dumbwaiter.words.js";
import { extensionOf, splitName } from "./words.js";
/** @import { Upload } from "./dumbwaiter.js" */

/** Glyph of each state; colour and words say the same. */
const GLYPHS = { waiting: "○", uploading: "", interrupted: "❙❙", paused: "❙❙", processing: "", done: "✓", error: "!", cancelled: "×" };

/** What a row's controls ask for. @typedef {"pause" | "resume" | "cancel" | "retry" | "remove" | "copy"} Act */

/** One file's row. */
export class Row {
  #shown = "";
  #copied = "";

  /** @param {Upload} upload @param {(row: Row, act: Act) => void} pressed called when one of its buttons is pressed */
  constructor(upload, pressed) {
    this.upload = upload;
    const template = byId("row", HTMLTemplateElement);
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = found(copy, ".row", HTMLLIElement);
    this.thumb = found(copy, ".thumb", HTMLElement);
    this.bar = found(copy, ".bar", HTMLDivElement);
    this.percent = found(copy, ".percent", HTMLElement);
    this.glyph = found(copy, ".glyph", HTMLElement);
    this.words = found(copy, ".words", HTMLElement);
    this.code = found(copy, "code", HTMLElement);
    this.link = found(copy, ".open", HTMLAnchorElement);
    this.field = found(copy, ".link", HTMLInputElement);
    this.copier = found(copy, ".copy", HTMLButtonElement);
    this.rest = found(copy, ".rest", HTMLButtonElement);
    this.again = found(copy, ".again", HTMLButtonElement);
    this.away = found(copy, ".away", HTMLButtonElement);
    this.#name(upload.name);
    this.#listen(pressed);
    this.draw();
  }

  /** @param {(row: Row, act: Act) => void} pressed */
  #listen(pressed) {
    // The second click of a double click would fall on the button that has taken the first one's place.
    const on = (/** @type {HTMLButtonElement} */ button, /** @type {() => Act} */ act) => {
      button.onclick = (event) => event.detail <= 1 && button.ariaDisabled !== "true" && pressed(this, act());
    };
    on(this.copier, () => "copy");
    on(this.rest, () => (this.upload.state === "paused" ? "resume" : "pause"));
    on(this.again, () => "retry");
    on(this.away, () => (this.upload.ended ? "remove" : "cancel"));
  }

  /** @param {string} name */
  #name(name) {
    const [stem, end] = splitName(name);
    found(this.element, ".stem", HTMLElement).textContent = stem;
    found(this.element, ".end", HTMLElement).textContent = end;
    found(this.element, ".name", HTMLElement).title = name;
    found(this.thumb, ".type", HTMLElement).textContent = extensionOf(name);
    this.bar.setAttribute("aria-label", name);
    this.field.setAttribute("aria-label", `Link of ${name}`);
  }

  /** What can be pressed or followed now, if anything. */
  get control() {
    return [this.link, this.copier, this.again, this.away, this.rest].find((one) => !one.hidden && one.ariaDisabled !== "true");
  }

  /** Draws what is known. Texts stay as they are while the state does, unless `tick` lets them change. */
  draw(tick = false) {
    const { upload } = this;
    const shown = `${upload.state} ${upload.live} ${upload.reason} ${upload.silent}`;
    const anew = this.#shown !== shown;
    this.#shown = shown;
    if (anew) this.#drawState();
    if (anew || tick) this.#drawTexts();
    drawBar(this.bar, upload.kept, upload.ended ? upload.kept : upload.gone);
    if (upload.state === "processing") this.bar.removeAttribute("aria-valuenow");
    else this.bar.setAttribute("aria-valuenow", `${upload.percent}`);
  }

  /** Says what came of copying the link. @param {string} outcome */
  told(outcome) {
    this.#copied = outcome;
    this.#drawTexts();
  }

  #drawState() {
    const { upload } = this;
    this.element.className = `row ${upload.state}`;
    this.glyph.textContent = GLYPHS[upload.state];
    this.code.hidden = upload.error === null;
    this.code.textContent = upload.error?.code ?? "";
    // Of what was never sent there is nothing to show.
    this.bar.hidden = upload.error?.early ?? false;
    show(this.away, upload.state === "done" ? "" : upload.ended ? "Remove" : "Cancel", upload);
    // What the server has whole can no longer be called back for sure. The button stays, and so does the focus.
    this.away.ariaDisabled = `${upload.state === "processing"}`;
    show(this.rest, upload.state === "paused" ? "Resume" : upload.running || upload.state === "interrupted" ? "Pause" : "", upload);
    this.rest.ariaDisabled = this.away.ariaDisabled;
    show(this.again, retryWords(upload), upload);
    const url = upload.state === "done" ? upload.record?.url : null;
    if (url) this.link.href = url;
    show(this.link, url ? "Open" : "", upload);
    show(this.copier, url ? "Copy link" : "", upload);
    this.field.hidden = true;
    this.#copied = "";
  }

  #drawTexts() {
    const { upload } = this;
    const none = upload.state === "waiting" || upload.state === "cancelled" || (upload.error?.early ?? false);
    this.percent.textContent = none ? "" : `${upload.percent}\u00a0%`;
    const { spoken, ...seen } = statusWords(upload);
    const text = upload.state === "done" ? arrivedWords(upload) : seen.text;
    writeParts(this.words, { ...seen, text, left: this.#copied || seen.left });
    this.bar.setAttribute("aria-valuetext", spoken);
  }
}

/** What trying once more is called where it makes sense. @param {Upload} upload */
function retryWords({ state, error }) {
  if (state === "cancelled") return "Retry";
  if (error?.early) return error.code === "type_not_allowed" ? "Send anyway" : "";
  return error && canRetry(error) ? "Retry" : "";
}

/** A control that does `act`, or is away if there is none to do. @param {HTMLElement} control @param {string} act @param {Upload} upload */
function show(control, act, upload) {
  control.hidden = act === "";
  control.textContent = act;
  control.setAttribute("aria-label", `${act} ${act === "Copy link" ? "of " : ""}${upload.name}`);
}

/** The store may have given it another name. @param {Upload} upload */
function arrivedWords({ record, name }) {
  const stored = record?.files?.[0]?.name ?? name;
  return stored.normalize() === name.normalize() ? "Arrived" : arrivedAs(stored);
}

/** The name may run the other way than the page. @param {string} name */
function arrivedAs(name) {
  const words = document.createElement("span");
  const isolated = document.createElement("bdi");
  isolated.textContent = name;
  words.append("Arrived as ", isolated);
  return words;
}

/** Body bytes count the form's few hundred bytes around the file, which nobody should see. @param {number} bytes @param {number} size */
export function ofSize(bytes, size) {
  return `${formatBytes(Math.min(bytes, size))} of ${formatBytes(size)}`;
}
