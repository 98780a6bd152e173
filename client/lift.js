/**
 * The lift beside the total: a dish in a shaft with three floors. Where bytes come in is the lowest, "kept" is where
 * the dish stops while the server works on what it has, and at "served" the dome is lifted. The tab's icon is the same
 * drawing in ten steps, which the server makes.
 */
import { byId, found } from "./dom.js";

/** How far above the lowest floor the others are, in the drawing's units; `src/page/lift.rs` has the same. */
const KEPT = 11.5;
const SERVED = 15;
/** The last of the icon's steps shows the lifted dome; those before share the way to "kept". */
const LAST_STEP = 9;

/** The drawing, and the icon that follows it. */
export class Lift {
  #drawing = found(byId("total", HTMLElement), ".lift", SVGElement);
  #icon = byId("icon", HTMLLinkElement);
  #step = -1;

  /** @param {number} kept 0 to 1 @param {boolean} served whether all has arrived @param {boolean} still whether it hangs */
  draw(kept, served, still) {
    this.#drawing.style.setProperty("--up", `${served ? SERVED : KEPT * kept}`);
    this.#drawing.classList.toggle("served", served);
    this.#drawing.classList.toggle("still", still);
    this.#show(served ? LAST_STEP : Math.min(LAST_STEP - 1, Math.floor(LAST_STEP * kept)));
  }

  /** @param {number} step */
  #show(step) {
    if (step === this.#step) return;
    this.#step = step;
    this.#icon.href = `lift-${step}.svg`;
  }
}
