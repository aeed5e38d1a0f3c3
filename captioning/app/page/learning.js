// Training on the corrections: start it, compare ten photos before and after, keep it or not.

import { ask, send } from "./store.js";

const box = document.getElementById("learning");
let waiting = null;

export async function showLearning(say) {
  clearTimeout(waiting);
  const about = await ask("/desk/learning").catch(() => null);
  if (!about) return;
  const title = document.createElement("h2");
  title.textContent = "Learn from the corrections";
  const sentence = document.createElement("p");
  sentence.className = "quiet";
  sentence.textContent = about.sentence;
  const buttons = document.createElement("p");
  const button = (label, what) => {
    const made = document.createElement("button");
    made.textContent = label;
    made.dataset.learning = what;
    made.addEventListener("click", async () => {
      await send("/desk/learning", { do: what }).catch((error) => say(error.message));
      showLearning(say);
    });
    buttons.append(made);
  };
  if (about.state === "done") {
    button("Keep the new model", "keep");
    button("Delete it", "discard");
  } else if (about.state !== "running") {
    button(`Train on ${about.corrections} corrected captions`, "start");
  }
  box.replaceChildren(title, sentence, ...(about.pairs.length ? [table(about.pairs)] : []), buttons);
  if (about.state === "running") waiting = setTimeout(() => showLearning(say), 2000);
}

function table(pairs) {
  const made = document.createElement("table");
  made.className = "pairs";
  const row = (cells, kind) => {
    const line = made.insertRow();
    for (const cell of cells) {
      const element = document.createElement(kind);
      if (kind === "th") element.scope = "col";
      element.append(cell);
      line.append(element);
    }
  };
  row(["Photo", "Before", "After", "You"], "th");
  for (const pair of pairs) {
    const image = document.createElement("img");
    image.src = `/desk/photos/${pair.number}/picture/small`;
    image.alt = pair.person;
    image.width = 64;
    row([image, pair.before, pair.after, pair.person], "td");
  }
  return made;
}
