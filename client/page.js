/** The page: takes files that are dropped or chosen, sends them, and keeps what is drawn in step. */
import { Uploads } from "./dumbwaiter.js";
import { Row, Total, Voice, WORDS_EVERY_MS, byId } from "./rows.js";
/** @import { Upload } from "./dumbwaiter.js" */

/** Puts rows, total and drop area together. */
class Page {
  #rows = /** @type {Map<Upload, Row>} */ (new Map());
  #uploads = new Uploads({}, (upload) => this.#onChange(upload));
  #voice = new Voice();
  #total = new Total(this.#voice);
  #input = byId("file", HTMLInputElement);
  #drop = byId("drop", HTMLDivElement);
  #list = byId("list", HTMLUListElement);
  #notice = byId("notice", HTMLElement);
  /** @type {number | undefined} */
  #clock;

  constructor() {
    document.documentElement.classList.add("scripted");
    byId("send", HTMLButtonElement).hidden = true;
    byId("form", HTMLFormElement).onsubmit = (event) => event.preventDefault();
    this.#input.onchange = () => this.#chosen();
    this.#listenForDrops();
    addEventListener("offline", () => this.#tell("You are offline. Files that wait go when the connection is back."));
    addEventListener("online", () => this.#tell(""));
    // Leaving would cut what is under way, so the browser asks.
    addEventListener("beforeunload", (event) => this.#busy && event.preventDefault());
    // Chosen before this script ran, or kept by the browser over a reload.
    this.#chosen();
  }

  get #busy() {
    return this.#uploads.list.some((upload) => !upload.ended);
  }

  #chosen() {
    const files = Array.from(this.#input.files ?? []);
    // Emptied, so that choosing the same file again is a change too.
    this.#input.value = "";
    this.#add(files);
  }

  /** @param {File[]} files */
  #add(files) {
    if (files.length === 0) return;
    for (const upload of this.#uploads.add(files)) {
      const row = new Row(upload, (pressed) => this.#pressed(pressed));
      this.#rows.set(upload, row);
      this.#list.append(row.element);
    }
    this.#clock ??= setInterval(() => this.#tick(), WORDS_EVERY_MS);
    this.#fit();
    this.#total.draw(this.#uploads.list, true);
  }

  /** The drop area is large while there is nothing else to see. */
  #fit() {
    const any = this.#rows.size > 0;
    this.#drop.classList.toggle("small", any);
    byId("more", HTMLElement).hidden = !any;
  }

  /** @param {Upload} upload */
  #onChange(upload) {
    const row = this.#rows.get(upload);
    if (!row) return;
    const had = row.button === document.activeElement;
    const was = row.element.classList.contains("error");
    row.draw();
    if (had && row.button.hidden) this.#focusFrom(row.link.hidden ? row.element.nextElementSibling : row.element);
    if (upload.state === "error" && !was) this.#voice.failed(`${upload.file.name}: ${row.words.textContent}`);
    this.#total.draw(this.#uploads.list);
  }

  #tick() {
    for (const [upload, row] of this.#rows) if (upload.running) row.draw(true);
    this.#total.draw(this.#uploads.list, true);
    if (this.#busy) return;
    clearInterval(this.#clock);
    this.#clock = undefined;
  }

  /** @param {Row} row */
  #pressed(row) {
    const next = row.element.nextElementSibling;
    if (row.upload.ended) {
      this.#uploads.remove(row.upload);
      this.#rows.delete(row.upload);
      row.element.remove();
      this.#fit();
      this.#total.draw(this.#uploads.list, true);
    } else row.upload.cancel();
    this.#focusFrom(next);
  }

  /** Moves the focus to the first control at or below a row, else to the file input. @param {Element | null} element */
  #focusFrom(element) {
    const rows = Array.from(this.#rows.values());
    const from = rows.findIndex((row) => row.element === element);
    const controls = from < 0 ? [] : rows.slice(from).map((row) => row.control);
    (controls.find((control) => control !== undefined) ?? this.#input).focus();
  }

  /** A drop anywhere on the page counts: beside the area the browser would leave the page and open the file. */
  #listenForDrops() {
    const files = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
    const over = (/** @type {boolean} */ on) => this.#drop.classList.toggle("over", on);
    addEventListener("dragover", (event) => {
      if (!files(event)) return;
      event.preventDefault();
      over(true);
    });
    addEventListener("dragleave", (event) => event.relatedTarget === null && over(false));
    addEventListener("drop", (event) => {
      if (!files(event)) return;
      event.preventDefault();
      over(false);
      this.#dropped(Array.from(event.dataTransfer?.items ?? []));
    });
  }

  /** @param {DataTransferItem[]} items */
  #dropped(items) {
    const folders = items.filter((item) => item.webkitGetAsEntry()?.isDirectory);
    this.#tell(folders.length ? "Folders cannot be sent. Open them and drop the files that are in them." : "");
    const files = items.filter((item) => !folders.includes(item)).map((item) => item.getAsFile());
    this.#add(files.filter((file) => file !== null));
  }

  /** Shows one line above everything, and speaks it. @param {string} line empty to take it away */
  #tell(line) {
    this.#notice.hidden = line === "";
    this.#notice.textContent = line;
    this.#voice.alert(line);
  }
}

new Page();
