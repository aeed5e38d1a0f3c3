// Training on the corrections: start it, compare ten photos before and after, keep it or not.

import { ask, pictureOf, send } from "./store.js";

const get = (id) => document.getElementById(id);
const dialog = get("learning");
const BUTTONS = { start: get("learn-start"), keep: get("learn-keep"), discard: get("learn-discard") };
const INTRODUCTION = "A copy of the model is trained on them, beside your work, in some minutes. " +
  "You then compare captions, and keep it or not.";
let last = null; // what was known of it before
let waiting = null;

export function startLearning(say) {
  get("learn").addEventListener("click", () => {
    get("settings").open = false;
    dialog.showModal();
    look(say);
  });
  get("learning-close").addEventListener("click", () => dialog.close());
  // The menu that it was opened from is folded away.
  dialog.addEventListener("close", () => document.querySelector("#settings summary").focus());
  for (const [what, button] of Object.entries(BUTTONS)) {
    button.addEventListener("click", async () => {
      get("learning-close").focus(); // the button may go
      const about = await send("/desk/learning", { do: what }).catch((error) => say(error.message));
      if (about) show(about);
      follow(say);
    });
  }
  look(say);
}

// Also while the dialog is closed: who works on is told when it is done.
export async function look(say) {
  const about = await ask("/desk/learning").catch(() => null);
  if (about) {
    const ended = last?.state === "running" && about.state !== "running";
    show(about);
    if (ended && !dialog.open) say(`${about.sentence} See Settings, Learn.`);
  }
  follow(say);
}

function follow(say) {
  clearTimeout(waiting);
  if (last?.state === "running") waiting = setTimeout(() => look(say), 2000);
}

function show(about) {
  const isNews = JSON.stringify(about) !== JSON.stringify(last);
  last = about;
  if (!isNews) return;
  const isFree = !["running", "done"].includes(about.state);
  const canStart = isFree && !about.hindrance;
  get("learn-about").textContent = about.sentence || about.hindrance || `${about.corrections} captions are corrected.`;
  get("learning-says").textContent = about.sentence || about.hindrance || INTRODUCTION;
  BUTTONS.start.textContent = `Train on ${about.corrections} corrected captions`;
  BUTTONS.start.hidden = !canStart;
  BUTTONS.keep.hidden = BUTTONS.discard.hidden = about.state !== "done";
  get("pairs").replaceChildren(...about.pairs.map(card));
}

function card(pair) {
  const made = document.createElement("section");
  const image = document.createElement("img");
  image.src = pictureOf(pair.number, "small");
  image.alt = pair.person || pair.before;
  const text = document.createElement("dl");
  const line = (term, value) => {
    const [name, said] = ["dt", "dd"].map((kind) => document.createElement(kind));
    name.textContent = term;
    said.textContent = value;
    text.append(name, said);
  };
  line("Before", pair.before);
  line("After", pair.after === pair.before ? "the same" : pair.after);
  if (pair.person) line("You", pair.person);
  const use = document.createElement("p");
  use.className = "quiet";
  use.textContent = pair.learned ? "trained on" : "not trained on";
  const words = document.createElement("div");
  words.append(text, use);
  made.append(image, words);
  return made;
}
