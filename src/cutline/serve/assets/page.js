// The page: pictures that are dropped, pasted, chosen or photographed are captioned as they come.
import { caption, model, Refusal } from "./ask.js";
import { Card, copy } from "./card.js";
import { listen } from "./words.js";

const TOGETHER = 4; // requests at a time
const CAPTIONS = 5; // of each picture

const at = (id) => document.getElementById(id);
const cards = new Map();
const queue = [];
let running = 0;
let limits = null;
let token = sessionStorage.getItem("token") || "";

function tell(sentence) {
  const line = document.createElement("p");
  line.textContent = sentence;
  at("news").append(line);
  while (at("news").children.length > 20) at("news").firstChild.remove();
}

function count() {
  const all = [...cards.values()];
  const busy = all.filter((card) => card.root.classList.contains("busy")).length;
  document.body.classList.toggle("some", all.length > 0);
  document.body.classList.toggle("many", all.length > 1);
  at("count").textContent = busy ? `${all.length - busy} of ${all.length}` : `${all.length} pictures`;
}

function remove(card) {
  const next = card.root.nextElementSibling || card.root.previousElementSibling;
  cards.delete(card.root);
  card.close();
  const focus = next ? next.querySelector(".remove") : at("choose");
  focus.focus();
  count();
}

function add(files) {
  for (const file of files) {
    const card = new Card(file, remove);
    cards.set(card.root, card);
    at("cards").append(card.root);
    queue.push(card);
  }
  count();
  while (running < TOGETHER && queue.length) work();
}

async function work() {
  running += 1;
  for (let card = queue.shift(); card; card = queue.shift()) if (cards.has(card.root)) await one(card);
  running -= 1;
}

async function one(card) {
  const name = card.file.name || "The picture";
  try {
    if (limits && card.file.size > limits.bytes) {
      throw new Refusal(`It has ${(card.file.size / 1e6).toFixed(1)} MB, more than the ${limits.bytes / 1e6} MB allowed; give a smaller picture.`, 413);
    }
    const found = await caption(card.file, { captions: CAPTIONS, token });
    card.tell(found);
    if (found.sentinel) at("beta").hidden = false;
    tell(`${name}: ${card.text}`);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    card.fail(error.message);
    tell(`${name}: ${error.message}`);
    if (error.status === 401) askForToken();
  }
  count();
}

function askForToken() {
  at("token").hidden = false;
}

async function begin() {
  try {
    const found = await model(token);
    limits = found.limits;
    at("model").textContent = found.model;
    at("token").hidden = true;
    return true;
  } catch (error) {
    if (error.status === 401) askForToken();
    else tell(error.message);
    return false;
  }
}

at("token").addEventListener("submit", async (event) => {
  event.preventDefault();
  token = at("secret").value.trim();
  sessionStorage.setItem("token", token);
  if (!(await begin())) return tell("That is not the service's token.");
  const again = [...cards.values()].filter((card) => card.root.classList.contains("failed"));
  again.forEach((card) => card.wait());
  queue.push(...again);
  while (running < TOGETHER && queue.length) work();
});

for (const id of ["choose", "photograph"]) {
  at(id).addEventListener("change", (event) => {
    add([...event.target.files]);
    event.target.value = ""; // the same file may be chosen again
  });
}
document.addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  if (files.length) { event.preventDefault(); add(files); }
});
document.addEventListener("dragover", (event) => {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  add([...event.dataTransfer.files]);
});
at("copy").addEventListener("click", (event) => {
  const lines = [...cards.values()].filter((card) => card.text).map((card) => `${card.file.name}\t${card.text}`);
  copy(event.currentTarget, lines.join("\n"));
});
at("clear").addEventListener("click", () => {
  queue.length = 0;
  for (const card of cards.values()) card.close();
  cards.clear();
  at("choose").focus();
  count();
});

listen(cards);
begin();
