// The explanation's cards: a veil falls on the picture for each word, a point shows its memory.
import { listen, wake } from "./words.js";

document.documentElement.classList.add("js");

function veiled(card) {
  const shown = [".stage .veil", ".point"].map((kind) => [...card.querySelectorAll(kind)]);
  return wake(card, (index) => {
    for (const each of shown) each.forEach((one, i) => one.classList.toggle("on", i === index));
  });
}

listen(new Map([...document.querySelectorAll(".card")].map((card) => [card, veiled(card)])));
