/**
 * What the page draws and speaks: a row for each file, the total above them, and the few sentences for who cannot see
 * bars.
 *
 * What is known of an upload comes from `dumbwaiter.js`; nothing here guesses. Bars move when the server or the network
 * says so; words change at most once a second, so that they can be read.
 */
import { EtaWords, countFiles, errorWords, formatBytes, joinParts, keptWords } from "./words.js";
/** @import { Upload } from "./dumbwaiter.js" */

/** How often words change while bars move. */
export const WORDS_EVERY_MS = 1000;
/** The shortest time between two spoken reports of progress. */
const SPEAK_EVERY_MS = 15_000;
/** Errors that come together are spoken together. */
const GATHER_ERRORS_MS = 300;

/** The element of this page with that id. @template {HTMLElement} T @param {string} id @param {new () => T} type */
export function byId(id, type) {
  return found(document, `#${id}`, type);
}

/** @template {HTMLElement} T @param {ParentNode} where @param {string} selector @param {new () => T} type */
function found(where, selector, type) {
  const element = where.querySelector(selector);
  if (!(element instanceof type)) throw new Error(`the page has no ${selector}`);
  return element;
}

// ---- A row -----------------------------------------------------------------------------------------------------

/** Glyph and words of each state; the words of a running or failed upload are made anew each time. */
const GLYPHS = { waiting: "○", uploading: "", processing: "", done: "✓", error: "!", cancelled: "×" };

/** One file's row. */
export class Row {
  #eta = new EtaWords();
  #shown = "";

  /** @param {Upload} upload @param {(row: Row) => void} pressed called when its button is pressed */
  constructor(upload, pressed) {
    this.upload = upload;
    const template = byId("row", HTMLTemplateElement);
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = found(copy, ".row", HTMLLIElement);
    this.bar = found(copy, ".bar", HTMLDivElement);
    this.percent = found(copy, ".percent", HTMLElement);
    this.glyph = found(copy, ".glyph", HTMLElement);
    this.words = found(copy, ".words", HTMLElement);
    this.code = found(copy, "code", HTMLElement);
    this.link = found(copy, ".open", HTMLAnchorElement);
    this.button = found(copy, "button", HTMLButtonElement);
    // The second click of a double click on Cancel would fall on Remove.
    this.button.onclick = (event) => event.detail <= 1 && pressed(this);
    this.#name(upload.file.name);
    this.draw();
  }

  /** The name in two parts: the first is cut where room is short, the second keeps the extension. @param {string} name */
  #name(name) {
    const letters = lettersOf(name);
    const dot = letters.lastIndexOf(".");
    const kept = dot > 0 && letters.length - dot <= 8 ? letters.length - dot + 3 : 6;
    const cut = Math.max(0, letters.length - kept);
    found(this.element, ".stem", HTMLElement).textContent = letters.slice(0, cut).join("");
    found(this.element, ".end", HTMLElement).textContent = letters.slice(cut).join("");
    found(this.element, ".name", HTMLElement).title = name;
    this.bar.setAttribute("aria-label", name);
  }

  /** What can be pressed or followed now, if anything. */
  get control() {
    return [this.link, this.button].find((one) => !one.hidden);
  }

  /** Draws what is known. Words stay as they are while the state does, unless `speak` asks for them anew. */
  draw(speak = false) {
    const { upload } = this;
    const shown = `${upload.state} ${upload.watched}`;
    const anew = this.#shown !== shown;
    this.#shown = shown;
    if (anew) this.#drawState();
    if (anew || speak) this.#drawWords();
    drawBar(this.bar, upload.kept, upload.ended ? upload.kept : upload.gone);
    const none = upload.state === "waiting" || upload.state === "cancelled";
    this.percent.textContent = none ? "" : `${upload.percent}\u00a0%`;
    if (upload.state === "processing") this.bar.removeAttribute("aria-valuenow");
    else this.bar.setAttribute("aria-valuenow", `${upload.percent}`);
  }

  #drawState() {
    const { upload, link, button } = this;
    this.element.className = `row ${upload.state}`;
    this.glyph.textContent = GLYPHS[upload.state];
    this.code.hidden = upload.error === null;
    this.code.textContent = upload.error?.code ?? "";
    const act = upload.ended ? "Remove" : "Cancel";
    button.textContent = act;
    button.setAttribute("aria-label", `${act} ${upload.file.name}`);
    // What the server has whole can no longer be called back for sure.
    button.hidden = upload.state === "processing" || upload.state === "done";
    const url = upload.answer?.url;
    link.hidden = !url;
    if (url) link.href = url;
    link.setAttribute("aria-label", `Open ${upload.file.name}`);
  }

  #drawWords() {
    const words = rowWords(this.upload, this.#eta);
    this.words.textContent = words.seen;
    this.bar.setAttribute("aria-valuetext", words.spoken);
  }
}

/** What a reader takes for letters; code points where the browser cannot tell (Firefox before 125). @param {string} text */
function lettersOf(text) {
  if (!("Segmenter" in Intl)) return Array.from(text);
  return Array.from(new Intl.Segmenter().segment(text), ({ segment }) => segment);
}

/** What a row says, to the eye and to the ear. @param {Upload} upload @param {EtaWords} eta */
function rowWords(upload, eta) {
  const size = upload.file.size;
  const percent = `${upload.percent} percent`;
  switch (upload.state) {
    case "waiting":
      return { seen: `Waiting · ${formatBytes(size)}`, spoken: "waiting" };
    case "uploading": {
      const left = eta.of(upload.record?.eta ?? null, performance.now());
      if (!upload.watched) return { seen: `${ofSize(upload.sent, size)}${upload.sent ? " sent" : ""}`, spoken: `${percent} sent` };
      const speed = upload.record?.rate ? `${formatBytes(upload.record.rate)}/s` : "";
      const seen = joinParts([ofSize(upload.record?.received ?? 0, size), speed, left.seen]);
      return { seen, spoken: left.spoken ? `${percent}, ${left.spoken}` : percent };
    }
    case "processing":
      return { seen: "All received, being stored", spoken: "all received, being stored" };
    case "done": {
      const stored = upload.answer?.files?.[0]?.name ?? upload.file.name;
      const renamed = stored.normalize() !== upload.file.name.normalize();
      return { seen: joinParts([renamed ? `Arrived as ${stored}` : "Arrived", formatBytes(size)]), spoken: "arrived" };
    }
    case "error":
      return { seen: errorWords(upload), spoken: `${percent}, failed` };
    case "cancelled":
      return { seen: `Cancelled. ${keptWords(upload.whole)}`, spoken: "cancelled" };
  }
}

/** Body bytes count the form's few hundred bytes around the file, which nobody should see. @param {number} bytes @param {number} size */
function ofSize(bytes, size) {
  return `${formatBytes(Math.min(bytes, size))} of ${formatBytes(size)}`;
}

/** @param {HTMLElement} bar @param {number} kept 0 to 1 @param {number} sent 0 to 1 */
function drawBar(bar, kept, sent) {
  bar.style.setProperty("--kept", `${100 * kept}%`);
  bar.style.setProperty("--sent", `${100 * sent}%`);
}

// ---- All of them -----------------------------------------------------------------------------------------------

/**
 * The numbers of all uploads that may still arrive or have arrived. `kept` and `sent` are for the bar; `told` is what
 * words and percent say: what the server has, or what was sent where no stream tells.
 * @param {Upload[]} list
 */
function sum(list) {
  const live = list.filter((upload) => upload.state !== "error" && upload.state !== "cancelled");
  const total = { files: live.length, done: 0, bytes: 0, kept: 0, sent: 0, told: 0, rate: 0, blind: false, untimed: false, storing: true };
  for (const upload of live) {
    const size = Math.max(1, upload.file.size);
    const blind = upload.state === "uploading" && !upload.watched;
    total.bytes += size;
    total.kept += size * upload.kept;
    total.sent += size * upload.gone;
    total.told += size * (blind ? upload.gone : upload.kept);
    total.done += upload.state === "done" ? 1 : 0;
    total.rate += upload.running ? (upload.record?.rate ?? 0) : 0;
    total.blind ||= blind;
    total.untimed ||= upload.state === "uploading" && upload.record?.eta == null;
    total.storing &&= upload.state === "processing" || upload.state === "done";
  }
  const percent = Math.min(99, Math.floor((100 * total.told) / (total.bytes || 1)));
  return { ...total, percent: total.done === total.files ? 100 : percent };
}

/** The row above the list, the document's title and what is spoken. */
export class Total {
  #element = byId("total", HTMLElement);
  #words = found(this.#element, ".words", HTMLElement);
  #percent = found(this.#element, ".percent", HTMLElement);
  #bar = found(this.#element, ".bar", HTMLDivElement);
  #voice;
  #eta = new EtaWords();
  #title = document.title;
  #busy = false;

  /** @param {Voice} voice */
  constructor(voice) {
    this.#voice = voice;
  }

  /** @param {Upload[]} list @param {boolean} speak whether words may change */
  draw(list, speak = false) {
    const total = sum(list);
    const busy = list.some((upload) => !upload.ended);
    const turned = busy !== this.#busy;
    this.#busy = busy;
    this.#element.hidden = list.length === 0;
    this.#element.classList.toggle("ended", !busy);
    this.#bar.hidden = this.#percent.hidden = !busy;
    drawBar(this.#bar, total.kept / (total.bytes || 1), total.sent / (total.bytes || 1));
    this.#percent.textContent = `${total.percent}\u00a0%`;
    this.#bar.setAttribute("aria-valuenow", `${total.percent}`);
    document.title = busy ? `${total.percent} % · ${countFiles(total.files)}` : this.#title;
    if (!busy) this.#drawEnd(list, turned);
    else if (turned || speak) this.#drawRunning(total);
    if (busy) this.#voice.progress(total, turned);
  }

  /** @param {ReturnType<typeof sum>} total */
  #drawRunning(total) {
    const open = total.untimed || total.rate === 0 ? null : (total.bytes - total.told) / total.rate;
    const left = this.#eta.of(open, performance.now());
    const count = total.files > 1 ? `${total.done} of ${countFiles(total.files)}` : "";
    const speed = total.rate ? `${formatBytes(total.rate)}/s` : "";
    const size = `${ofSize(total.told, total.bytes)}${total.blind ? " sent" : ""}`;
    this.#words.textContent = joinParts([count, size, speed, left.seen]);
    this.#bar.setAttribute("aria-valuetext", joinParts([`${total.percent} percent`, left.spoken], ", "));
  }

  /** @param {Upload[]} list @param {boolean} turned whether the last upload has ended just now */
  #drawEnd(list, turned) {
    const done = list.filter((upload) => upload.state === "done").length;
    const failed = list.filter((upload) => upload.state === "error").length;
    const sentence = endWords(done, failed);
    this.#words.textContent = sentence;
    if (done && !failed) document.title = `✓ ${countFiles(done)} · ${this.#title}`;
    if (turned && done) this.#voice.say(sentence);
  }
}

/** How it all ended. @param {number} done @param {number} failed how many files */
function endWords(done, failed) {
  if (done === 0) return failed ? `${countFiles(failed)} did not arrive.` : "Nothing was sent.";
  const arrived = `${countFiles(done)} ${done === 1 ? "has" : "have"} arrived.`;
  return failed ? `${arrived} ${countFiles(failed)} did not.` : `${arrived} You can close this page.`;
}

/** Speaks to who cannot see the bars: few words, seldom. */
export class Voice {
  #status = byId("status", HTMLElement);
  #alert = byId("alert", HTMLElement);
  #spokenAt = 0;
  #quarter = 0;
  #storingSince = 0;
  /** @type {string[]} */
  #errors = [];

  /** @param {string} sentence */
  say(sentence) {
    this.#status.textContent = sentence;
    this.#spokenAt = performance.now();
  }

  /** @param {ReturnType<typeof sum>} total @param {boolean} starting */
  progress(total, starting) {
    const now = performance.now();
    const quarter = Math.floor(total.percent / 25);
    if (starting) {
      this.#quarter = quarter;
      this.#storingSince = 0;
      return this.say(`Sending ${countFiles(total.files)}.`);
    }
    if (total.storing && this.#storingSince === 0) this.#storingSince = now;
    // Storing is worth a word only when it lasts; then it is said once.
    if (total.storing && now - this.#storingSince >= WORDS_EVERY_MS) {
      this.#storingSince = Infinity;
      return this.say("Everything is received and being stored.");
    }
    if (quarter <= this.#quarter || now - this.#spokenAt < SPEAK_EVERY_MS) return;
    this.#quarter = quarter;
    this.say(`${total.percent} percent of ${countFiles(total.files)}.`);
  }

  /** Says at once what needs attention. @param {string} sentence */
  alert(sentence) {
    this.#alert.textContent = sentence;
  }

  /** Says why a file did not arrive, once for all that fail together. @param {string} sentence */
  failed(sentence) {
    if (this.#errors.push(sentence) > 1) return;
    setTimeout(() => {
      const [first, ...others] = this.#errors.splice(0);
      this.alert(others.length ? `${first} And ${others.length} more did not arrive.` : `${first}`);
    }, GATHER_ERRORS_MS);
  }
}
