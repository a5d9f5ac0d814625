// The words of a caption: point at one, tap it, walk with the arrow keys, slide, or play.
// Elements of a card: .word (buttons with data-note), .now, and perhaps .play and .slider.

const BEAT = 700; // milliseconds a word, while playing

// `paint(index)` shows where was looked for a word, or nothing (null).
// Returns what a key does (true if anything), and what stops the playing.
export function wake(card, paint) {
  const words = [...card.querySelectorAll(".word")];
  const now = card.querySelector(".now");
  const play = card.querySelector(".play");
  const slider = card.querySelector(".slider");
  const resting = now.textContent;
  let kept = null; // the word that was tapped stays
  let timer = null;

  function show(index) {
    words.forEach((word, i) => word.classList.toggle("on", i === index));
    now.textContent = index === null ? resting : words[index].dataset.note;
    if (slider) {
      slider.value = index === null ? 0 : index + 1;
      slider.setAttribute("aria-valuetext", index === null ? "no word" : words[index].dataset.note);
    }
    paint(index);
  }

  function keep(index) {
    kept = index;
    words.forEach((word, i) => word.setAttribute("aria-pressed", i === index));
    show(index);
  }

  // One stop for the tab key per caption; the arrows walk within it.
  function reach(index) {
    words.forEach((word, i) => (word.tabIndex = i === index ? 0 : -1));
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    now.setAttribute("aria-live", "polite");
    if (play) play.textContent = "▶ Play";
  }

  function start() {
    let index = 0;
    keep(null);
    show(index);
    play.textContent = "■ Stop";
    now.setAttribute("aria-live", "off"); // a screen reader cannot keep up with the beat
    timer = setInterval(() => {
      index += 1;
      if (index < words.length) return show(index);
      stop();
      show(null);
    }, BEAT);
  }

  function walk(key) {
    const at = words.findIndex((word) => word.classList.contains("on"));
    const last = words.length - 1;
    const next = { ArrowRight: Math.min(at + 1, last), ArrowLeft: Math.max(at - 1, 0), Home: 0, End: last }[key];
    if (next === undefined) return false;
    stop();
    reach(next);
    words[next].focus();
    show(next);
    return true;
  }

  words.forEach((word, i) => {
    word.setAttribute("aria-pressed", "false");
    word.addEventListener("pointerenter", (event) => {
      if (event.pointerType !== "mouse") return;
      stop();
      show(i);
    });
    word.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse" && timer === null) show(kept);
    });
    word.addEventListener("focus", () => { stop(); reach(i); show(i); });
    word.addEventListener("blur", () => { if (timer === null) show(kept); });
    word.addEventListener("click", () => { stop(); keep(kept === i ? null : i); });
  });
  reach(0);
  if (play) play.addEventListener("click", () => {
    if (timer === null) return start();
    stop();
    show(kept);
  });
  if (slider) slider.addEventListener("input", () => {
    stop();
    keep(slider.valueAsNumber ? slider.valueAsNumber - 1 : null);
  });

  function press(key) {
    if (key === "Escape") { stop(); keep(null); return true; }
    return words.length > 0 && walk(key);
  }

  return { press, stop };
}

// Keys pressed within a card, or anywhere where there is but one, are that card's.
export function listen(cards) {
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.target.matches("input, select, summary")) return;
    const card = event.target.closest(".card");
    const only = cards.size === 1 && event.target === document.body ? [...cards.keys()][0] : null;
    const woken = cards.get(card || only);
    if (woken && woken.press(event.key)) event.preventDefault();
  });
}
