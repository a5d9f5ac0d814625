"use strict";
// Each card: point at a word, tap it or walk with the arrow keys, and its veil falls.
document.documentElement.classList.add("js");

const BEAT = 700;

function wake(card) {
  const words = [...card.querySelectorAll(".word")];
  const veils = [...card.querySelectorAll(".stage .veil")];
  const points = [...card.querySelectorAll(".point")];
  const now = card.querySelector(".now");
  const play = card.querySelector(".play");
  const resting = now.textContent;
  let kept = null; // the word that was tapped stays
  let timer = null;

  function show(index) {
    words.forEach((word, i) => word.classList.toggle("on", i === index));
    veils.forEach((veil, i) => veil.classList.toggle("on", i === index));
    points.forEach((point, i) => point.classList.toggle("on", i === index));
    now.textContent = index === null ? resting : words[index].dataset.note;
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

  return (key) => {
    if (key === "Escape") { stop(); keep(null); return true; }
    return words.length > 0 && walk(key);
  };
}

const cards = new Map([...document.querySelectorAll(".card")].map((card) => [card, wake(card)]));

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const only = cards.size === 1 ? [...cards.keys()][0] : null;
  const press = cards.get(event.target.closest(".card") || only);
  if (press && press(event.key)) event.preventDefault();
});
