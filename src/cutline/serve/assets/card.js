// One picture: its caption word by word, where the captioner looked, and other captions.
import { wake } from "./words.js";
import { dimmed, draw, spread } from "./light.js";

const LARGEST = 800; // longer side of what is drawn over a picture

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export const percent = (share) => (share > 0 && share < 0.005 ? "<1%" : `${Math.round(100 * share)}%`);

export const altText = (text) => `alt="${text.replace(/&/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;")}"`;

const hedged = (said) => (said.unsure ? `perhaps: ${said.caption}` : said.caption);

export class Card {
  // `remove(card)` is called when a person takes the picture away.
  constructor(file, remove) {
    this.file = file;
    this.said = [];
    this.woken = null;
    this.url = URL.createObjectURL(file);
    this.image = element("img", { src: this.url, alt: "", onload: () => this.measure(), onerror: () => this.stage.classList.add("unseen") });
    this.canvas = element("canvas", { class: "light", "aria-hidden": "true" });
    this.told = element("div", { class: "told" }, element("p", { class: "waiting" }, "Looking…"));
    const close = element("button", { class: "remove", type: "button", "aria-label": `Remove ${file.name || "picture"}`, onclick: () => remove(this) }, "×");
    this.stage = element("div", { class: "stage" }, this.image, this.canvas,
      element("span", { class: "blank" }, "No preview"), close);
    this.root = element("article", { class: "card busy", "aria-busy": "true", "aria-label": file.name || "Picture" }, this.stage, this.told);
  }

  get text() {
    return this.said.length ? hedged(this.said[0]) : "";
  }

  // The style sheet decides from this how large the picture is shown.
  measure() {
    const { naturalWidth: width, naturalHeight: height } = this.image;
    this.stage.style.setProperty("--ratio", width / height);
    this.stage.style.setProperty("--width", `${width}px`);
  }

  press(key) {
    return this.woken ? this.woken.press(key) : false;
  }

  close() {
    if (this.woken) this.woken.stop();
    URL.revokeObjectURL(this.url);
    this.root.remove();
  }

  wait() {
    this.root.classList.add("busy");
    this.told.replaceChildren(element("p", { class: "waiting" }, "Looking…"));
  }

  fail(sentence) {
    this.rest();
    this.root.classList.add("failed");
    this.told.replaceChildren(
      element("p", { class: "name" }, this.file.name || "Picture"),
      element("p", { class: "fault" }, sentence));
  }

  tell(result) {
    this.rest();
    this.said = [result, ...result.alternatives];
    this.show(0);
  }

  rest() {
    this.root.classList.remove("busy", "failed");
    this.root.removeAttribute("aria-busy");
  }

  // Show one of the captions of the beam.
  show(number) {
    if (this.woken) this.woken.stop();
    const said = this.said[number];
    this.image.alt = hedged(this.said[0]);
    const words = said.words.map((word, i) => wordButton(said, word, i));
    const attends = Boolean(said.attention) && words.length > 0;
    this.told.replaceChildren(
      element("div", { class: "said", role: "group", "aria-label": "The caption, word by word" },
        ...(words.length ? words : [element("span", { class: "empty" }, "(no words)")])),
      element("div", { class: "bar" },
        element("p", { class: "now", "aria-live": "polite" }, attends ? "" : "This captioner does not attend."),
        attends ? element("input", { class: "slider", type: "range", min: 0, max: words.length, value: 0, "aria-label": "Word" }) : null,
        attends ? element("button", { class: "play", type: "button" }, "▶ Play") : null),
      element("div", { class: "facts" }, this.verdict(said), this.copies(said)), this.others(number));
    this.woken = wake(this.root, (index) => this.paint(attends && index !== null ? said : null, index));
    this.woken.press("Escape");
  }

  verdict(said) {
    const sure = `${percent(said.confidence)} sure`;
    if (!said.unsure) return element("p", { class: "verdict" }, sure);
    return element("p", { class: "verdict doubt" }, `${sure}. Perhaps: it is unlike what it learned from.`);
  }

  copies(said) {
    const button = (label, text) => element("button", { class: "quiet", type: "button", onclick: (event) => copy(event.currentTarget, text) }, label);
    return element("div", { class: "copies" }, button("Copy text", said.caption), button("Copy as alt text", altText(said.caption)));
  }

  others(chosen) {
    if (this.said.length < 2) return "";
    const choose = (event, number) => {
      this.show(number);
      this.told.querySelectorAll(".other")[number].focus();
    };
    const items = this.said.map((said, number) => element("li", {},
      element("button", { class: "other", type: "button", "aria-pressed": String(number === chosen), onclick: (event) => choose(event, number) },
        element("span", {}, said.caption), element("small", {}, percent(said.confidence)))));
    const open = this.told.querySelector("details")?.open ?? false;
    return element("details", { open }, element("summary", {}, `${this.said.length - 1} other captions`), element("ol", { class: "others" }, ...items));
  }

  paint(said, index) {
    this.canvas.classList.toggle("on", said !== null);
    if (said === null || !this.image.naturalWidth) return;
    const context = this.canvas.getContext("2d", { willReadFrequently: true });
    if (!this.grey) {
      const { naturalWidth: width, naturalHeight: height } = this.image;
      const scale = Math.min(1, LARGEST / Math.max(width, height));
      this.canvas.width = Math.max(1, Math.round(width * scale));
      this.canvas.height = Math.max(1, Math.round(height * scale));
      this.grey = dimmed(context, this.image);
    }
    const { width, height } = this.canvas;
    draw(context, this.grey, spread(said.attention[index], said.area, width, height));
  }
}

function wordButton(said, word, i) {
  const sure = percent(Math.exp(Math.min(said.log_probs[i], 0)));
  const beta = said.sentinel ? percent(said.sentinel[i]) : null;
  const note = `${word}: probability ${sure}${beta ? `, memory ${beta}` : ""}`;
  const bar = element("i");
  bar.style.setProperty("--p", `${100 * Math.exp(Math.min(said.log_probs[i], 0))}%`);
  return element("button", { class: "word", type: "button", "data-note": note, "aria-label": note },
    element("b", {}, word), bar, element("small", {}, sure),
    beta ? element("small", { class: "beta" }, `β ${beta}`) : null);
}

export async function copy(button, text) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "The browser does not allow it";
  }
  setTimeout(() => (button.textContent = before), 1500);
}
