// What leaves the desk: downloads, and files beside the photos.

import { send } from "./store.js";

const get = (id) => document.getElementById(id);

const which = () => (get("approved-only").checked ? "approved" : "all");

export function showOut(about, say) {
  const links = about.downloads.map(({ kind, label }) => {
    const link = document.createElement("a");
    link.textContent = label;
    link.dataset.kind = kind;
    link.download = "";
    const point = () => { link.href = `/desk/out/${kind}?which=${which()}`; };
    point();
    get("approved-only").addEventListener("change", point);
    return link;
  });
  get("downloads").replaceChildren(...links);
  get("beside").hidden = about.folder === null;
  const buttons = about.writes.map(({ kind, label }) => {
    const button = document.createElement("button");
    button.textContent = label;
    button.dataset.write = kind;
    button.addEventListener("click", () => write(kind, say));
    return button;
  });
  get("writes").replaceChildren(...buttons);
}

async function write(kind, say) {
  say("Writing ...");
  try {
    let found = await send(`/desk/out/${kind}`, { which: which(), replace: false });
    if (found.question) {
      if (!confirm(found.question)) return say("Nothing was written.");
      found = await send(`/desk/out/${kind}`, { which: which(), replace: true });
    }
    say(found.sentence);
  } catch (error) {
    say(error.message);
  }
}
