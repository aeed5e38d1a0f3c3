// The chosen photo: large, the words of its caption, what else they could have been, the N best.

import { ask, captionOf, detailsOf, keepDraft, pictureOf, store } from "./store.js";

const get = (id) => document.getElementById(id);
const LITTLE = new Set(["a", "an", "the", "in", "on", "at", "of", "to", "and", "is", "are", "with"]);

let number = null;
let words = [];
let shownWord = null;
let changeText = () => {};
let takeText = () => {};

export function onNewText(listener) { changeText = listener; }
export function onTake(listener) { takeText = listener; }

// Of what the large picture is: a file whose content changes is another photo.
let pictured = { number: null, photo: null };
function isOther(row) {
  const isSameFile = pictured.number === row.number;
  if (isSameFile) pictured.photo ??= row.photo;
  return !isSameFile || Boolean(row.photo && pictured.photo !== row.photo);
}

export async function show(chosen) {
  number = chosen;
  const row = store.rows.get(number);
  get("photo").hidden = !row;
  if (!row) return;
  if (isOther(row)) {
    clearLight();
    pictured = { number, photo: row.photo };
    get("large").src = pictureOf(number, "large");
    get("photo").scrollTop = 0;
    get("best").replaceChildren(); // those of another photo: nobody takes one of them for this
  }
  refill(row);
  await Promise.all([fillBest(chosen), fillWords(chosen)]);
}

// The parts that come from the row itself; others at the desk may change it.
export function refill(row = store.rows.get(number)) {
  if (!row) return;
  if (isOther(row)) {
    show(row.number);
    return;
  }
  get("large").alt = captionOf(row) || row.name;
  get("large").hidden = Boolean(row.error); // a reason stands below, no torn picture
  get("name").textContent = row.name;
  const facts = [];
  if (row.score !== null) facts.push(`sure ${Math.round(100 * Math.exp(row.score))}%`);
  if (row.familiar !== null) facts.push(`familiar ${(100 * row.familiar).toFixed(1)}%`);
  get("facts").textContent = facts.join(" · ");
  const problem = row.error
    ? `This photo can't be read: ${row.error}.`
    : row.unlike
      ? "This photo is unlike those that the model learned from: don't rely on its caption."
      : "";
  get("problem").hidden = !problem;
  get("problem").textContent = problem;
  document.querySelector('[data-deed="remove"]').hidden = !row.dropped;
  const rivals = row.rivals.map((rival) => {
    const line = document.createElement("p");
    line.className = "note";
    line.textContent = `${rival.person || "Somebody else"} wrote at the same time: “${rival.caption}” `;
    const button = document.createElement("button");
    button.textContent = "Take this one";
    button.addEventListener("click", () => takeText(number, rival.caption));
    line.append(button);
    return line;
  });
  get("rivals").replaceChildren(...rivals);
}

async function fillBest(chosen) {
  const details = await detailsOf(chosen).catch(() => null);
  if (chosen !== number) return;
  const items = (details?.best ?? []).map(({ caption, score }, place) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const text = document.createElement("span");
    text.textContent = caption;
    const share = document.createElement("span");
    share.className = "share";
    share.textContent = `${Math.round(100 * Math.exp(score))}%`;
    button.append(text, share);
    button.dataset.best = place + 1;
    button.setAttribute("aria-label", `${place + 1}: ${caption}, sure ${share.textContent}`);
    button.addEventListener("click", () => takeText(number, caption));
    item.append(button);
    return item;
  });
  get("best").replaceChildren(...items);
}

let wordsWait = null;
async function fillWords(chosen) {
  const caption = captionOf(store.rows.get(chosen));
  get("words").replaceChildren();
  get("choices").hidden = true;
  shownWord = null;
  clearLight();
  clearTimeout(wordsWait);
  if (!caption || store.rows.get(chosen).error) return;
  // Who goes through photos quickly asks for no words on the way.
  await new Promise((done) => { wordsWait = setTimeout(done, 150); });
  if (chosen !== number) return;
  const query = new URLSearchParams({ caption });
  const found = await ask(`/desk/photos/${chosen}/words?${query}`).catch(() => null);
  if (chosen !== number || !found) return;
  words = found;
  const buttons = words.map((word, place) => {
    const button = document.createElement("button");
    button.textContent = word.word;
    button.classList.toggle("is-little", LITTLE.has(word.word));
    const where = word.where ? `, looked at: ${word.where}` : "";
    button.setAttribute("aria-label", `${word.word}${where}`);
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-controls", "choices");
    button.addEventListener("pointerenter", () => showWord(place));
    button.addEventListener("focus", () => showWord(place));
    button.addEventListener("click", () => showWord(place));
    button.addEventListener("keydown", moveAmongWords);
    return button;
  });
  get("words").replaceChildren(...buttons);
}

function moveAmongWords(event) {
  const step = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
  if (step) {
    event.currentTarget[step]?.focus();
    event.preventDefault();
  } else if (event.key === "Enter") {
    get("choices").querySelector("button")?.focus();
    event.preventDefault();
    event.stopPropagation();
  }
}

function showWord(place) {
  if (shownWord === place) return;
  shownWord = place;
  const word = words[place];
  [...get("words").children].forEach((button, other) => {
    button.classList.toggle("is-shown", other === place);
    button.setAttribute("aria-expanded", String(other === place));
  });
  drawLight(word.weights);
  const line = document.createElement("p");
  const where = word.where ? ` looked at: ${word.where}.` : "";
  line.textContent = `“${word.word}” ${percent(word.share)};${where} Or:`;
  const others = word.others.filter((other) => other.word !== word.word).slice(0, 5);
  const buttons = others.map((other) => {
    const button = document.createElement("button");
    button.textContent = `${other.word} ${percent(other.share)}`;
    button.setAttribute("aria-label", `${other.word} instead of ${word.word}, ${percent(other.share)}`);
    button.addEventListener("click", () => goOn(place, other.word));
    return button;
  });
  get("choices").replaceChildren(line, ...buttons);
  get("choices").hidden = false;
}

const percent = (share) => `${Math.round(100 * share)}%`;

async function goOn(place, word) {
  const chosen = number;
  const prefix = [...words.slice(0, place).map((w) => w.word), word].join(" ");
  const query = new URLSearchParams({ prefix });
  try {
    const found = await ask(`/desk/photos/${chosen}/continuations?${query}`);
    keepDraft(chosen, found[0].caption);
    changeText(chosen, `Now: “${found[0].caption}”. Enter approves it.`);
  } catch (error) {
    changeText(chosen, error.message);
  }
}

// Warm colour over the photo where the decoder looked. The encoder reads the photo squeezed into a
// square, so the grid is stretched over it.
function drawLight(weights) {
  const canvas = get("light");
  const image = get("large");
  if (!weights) return clearLight();
  const side = weights.length;
  const small = new OffscreenCanvas(side, side);
  const pixels = new ImageData(side, side);
  weights.flat().forEach((weight, place) => {
    pixels.data.set([255, 150 * (1 - weight) + 60, 0, 190 * weight ** 0.7], 4 * place);
  });
  small.getContext("2d").putImageData(pixels, 0, 0);
  // The photo fills its place in one direction; beside it the place is empty.
  const { naturalWidth, naturalHeight, clientWidth, clientHeight } = image;
  const scale = Math.min(clientWidth / naturalWidth, clientHeight / naturalHeight) || 0;
  canvas.width = Math.max(1, Math.round(naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(naturalHeight * scale));
  canvas.style.left = `${image.offsetLeft + (clientWidth - canvas.width) / 2}px`;
  canvas.style.top = `${image.offsetTop + (clientHeight - canvas.height) / 2}px`;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

function clearLight() {
  const canvas = get("light");
  canvas.width = 1;
  canvas.height = 1;
}

export const bestCaption = async (chosen, place) =>
  (await detailsOf(chosen)).best[place - 1]?.caption ?? null;

export function focusWords() {
  (get("words").children[shownWord ?? 0] ?? get("words").firstChild)?.focus();
}
