// The desk: keys and buttons call what the other modules do.

import { addPhotos, showSamples, startDropping, startWebcam } from "./drop.js";
import { look as lookAtLearning, startLearning } from "./learning.js";
import * as list from "./list.js";
import { showOut } from "./out.js";
import * as photo from "./photo.js";
import * as storing from "./store.js";

const get = (id) => document.getElementById(id);
const { store } = storing;

let noteEnds = null;
function say(sentence) {
  get("note").textContent = sentence;
  clearTimeout(noteEnds);
  noteEnds = setTimeout(() => { get("note").textContent = ""; }, 4000 + 60 * sentence.length);
}

async function tried(deed) {
  try {
    await deed();
  } catch (error) {
    if (!(error instanceof storing.Refused)) throw error;
    say(error.message);
  }
}

// One decision after the other, as they were made.
let deciding = Promise.resolve();
function decide(number, state, caption, seen) {
  const next = number === list.chosenNumber() ? list.nextToDo() : number;
  deciding = deciding.then(() => tried(async () => {
    await storing.decide(number, state, caption, seen);
    if (number === list.chosenNumber()) photo.refill();
  }));
  if (next !== null) list.select(next);
  return deciding;
}

function approve(number = list.chosenNumber()) {
  const row = store.rows.get(number);
  if (!row) return;
  const caption = storing.captionOf(row);
  if (!caption) say("There is no caption to approve yet.");
  else decide(number, "approved", caption);
}

async function takeBest(place) {
  const number = list.chosenNumber();
  if (number === null) return;
  const caption = await photo.bestCaption(number, place).catch(() => null);
  if (caption === null) say(`There is no caption ${place}.`);
  else decide(number, "approved", caption);
}

// In the same order: of two that are on their way, the answer to the first may come last.
function undo() {
  deciding = deciding.then(() => tried(async () => {
    const { number, sentence } = await storing.undo();
    say(sentence);
    if (number !== undefined) list.select(number);
    photo.show(list.chosenNumber());
  }));
  return deciding;
}

async function remove() {
  const number = list.chosenNumber();
  const row = store.rows.get(number);
  if (!row?.dropped || !confirm(`Remove ${row.name} from this desk? The copy here is deleted.`)) return;
  const next = list.neighbour(1) === number ? list.neighbour(-1) : list.neighbour(1);
  await tried(async () => {
    await storing.send(`/desk/photos/${number}`, {}, "DELETE");
    await storing.refresh();
    list.select(next === number ? null : next);
    if (!store.rows.size) photo.show(null);
  });
}

const decideOn = (state) => () => {
  const number = list.chosenNumber();
  if (number !== null) decide(number, state, "");
};

const deeds = {
  approve: () => approve(),
  edit: () => list.edit(),
  decorative: decideOn("decorative"),
  skip: decideOn("skipped"),
  undo,
  remove,
};

const letters = {
  e: deeds.edit,
  d: deeds.decorative,
  s: deeds.skip,
  w: photo.focusWords,
  "/": () => get("search").focus(),
  "?": () => get("keys").showModal(),
};

const moves = {
  ArrowDown: () => list.neighbour(1),
  ArrowUp: () => list.neighbour(-1),
  PageDown: () => list.neighbour(list.perScreen()),
  PageUp: () => list.neighbour(-list.perScreen()),
  Home: () => list.ends(false),
  End: () => list.ends(true),
};

function onKey(event) {
  if (document.querySelector("dialog[open]") || event.isComposing) return;
  const target = event.target;
  const writes = target.closest("input, textarea, select");
  if (event.key === "Escape" && (writes || target.closest("#photo"))) {
    list.select(list.chosenNumber());
    return;
  }
  if (writes) {
    if (writes.id === "search" && ["Enter", "ArrowDown"].includes(event.key)) {
      event.preventDefault();
      list.select(list.ends(false));
    }
    return;
  }
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z") {
    event.preventDefault();
    undo();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const inList = target === document.body || target.closest("#list");
  if (moves[event.key] && (inList || target.closest("#photo"))) {
    event.preventDefault();
    list.select(moves[event.key]());
  } else if (event.key === "Enter" && inList) {
    event.preventDefault();
    approve();
  } else if (storing.setting("letters", "yes") === "yes") {
    const deed = letters[event.key.toLowerCase()];
    if (deed) {
      event.preventDefault();
      deed();
    } else if (/^[1-9]$/.test(event.key)) takeBest(Number(event.key));
  }
}

function showProgress() {
  const { done, total, seconds } = store.progress;
  const rows = [...store.rows.values()];
  const decided = rows.filter((row) => ["approved", "edited", "decorative"].includes(row.state));
  const left = done < total ? `captions: ${done} of ${total}${timeLeft(seconds)}` : "";
  const counts = total ? `${decided.length} of ${rows.length} decided` : "";
  const text = [counts, left].filter(Boolean).join(" · ");
  if (get("progress").textContent !== text) get("progress").textContent = text;
  get("main").classList.toggle("is-empty", rows.length === 0);
  get("empty").hidden = rows.length > 0;
  if (!rows.length) get("photo").hidden = true;
}

function timeLeft(seconds) {
  if (seconds === null) return "";
  if (seconds < 90) return `, ${Math.max(1, Math.round(seconds))} s left`;
  return `, ${Math.round(seconds / 60)} min left`;
}

// The order is made anew only while nobody has begun, so that no row jumps away under the hand.
let begun = false;
let sortedAt = 0;
function onChanges(changed) {
  showProgress();
  const { done, total } = store.progress;
  if (storing.setting("order", "sure") === "sure" && done !== sortedAt) {
    if (!begun && (done === total || sortedAt === 0)) sortAgain();
    else get("again").hidden = false;
  }
  chooseIfNone();
  if (changed.includes(list.chosenNumber())) {
    const row = store.rows.get(list.chosenNumber());
    if (row && !get("best").children.length && row.score !== null) photo.show(row.number);
    else photo.refill();
  }
}

// The keyboard stays where it is: somebody may be searching.
function chooseIfNone() {
  if (list.chosenNumber() !== null || !store.rows.size) return;
  const next = list.firstToDo() ?? list.ends(false);
  if (next === null) photo.show(null); // its file has gone, and the search leaves no other
  else list.select(next, false);
}

function setFilter(changed) {
  list.setFilter(changed);
  chooseIfNone();
}

function sortAgain() {
  const number = list.chosenNumber();
  list.sortRows();
  sortedAt = store.progress.done;
  get("again").hidden = true;
  list.select(begun ? number : (list.firstToDo() ?? list.ends(false)), false);
}

async function added(numbers) {
  await storing.refresh();
  if (numbers.length) list.select(numbers[0]);
}

const add = (files) => tried(() => addPhotos(files, say, added));

function wire() {
  addEventListener("keydown", onKey);
  for (const event of ["keydown", "pointerdown"]) {
    addEventListener(event, () => {
      begun = true;
      get("note").textContent = ""; // it has been read, and may cover what is worked at
    }, { capture: true });
  }
  for (const button of document.querySelectorAll("[data-deed]")) {
    button.addEventListener("click", () => deeds[button.dataset.deed]());
  }
  get("help").addEventListener("click", () => get("keys").showModal());
  get("keys-close").addEventListener("click", () => get("keys").close());
  get("search").addEventListener("input", (event) => {
    setFilter({ text: event.target.value.trim().toLowerCase() });
    get("search").setAttribute("aria-description", `${list.shownCount()} photos`);
  });
  get("show").addEventListener("change", (event) => setFilter({ state: event.target.value }));
  get("again").addEventListener("click", sortAgain);
  get("order").value = storing.setting("order", "sure");
  get("order").addEventListener("change", (event) => {
    storing.keepSetting("order", event.target.value);
    sortAgain();
  });
  get("person").value = storing.setting("person", "");
  get("person").addEventListener("change", (event) => {
    storing.keepSetting("person", event.target.value.trim());
  });
  get("letters").checked = storing.setting("letters", "yes") === "yes";
  get("letters").addEventListener("change", (event) => {
    storing.keepSetting("letters", event.target.checked ? "yes" : "no");
  });
  document.addEventListener("pointerdown", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  get("settings").addEventListener("toggle", () => {
    if (get("settings").open) lookAtLearning(say);
  });
  list.onChoose((number) => {
    photo.show(number);
    // The next ones' captions are here before somebody asks.
    for (const step of [1, 2]) {
      const next = list.neighbour(step);
      if (next !== null) storing.detailsOf(next);
    }
  });
  list.onFinish((number, text, seen) => decide(number, "edited", text, seen));
  photo.onNewText((number, sentence) => {
    say(sentence);
    list.select(number);
    list.redraw(number);
    photo.show(number);
  });
  photo.onTake((number, text) => decide(number, "approved", text));
  storing.onChange(onChanges);
  startDropping(add);
  startWebcam(add, say);
  startLearning(say);
}

async function start() {
  wire();
  const about = await storing.ask("/desk/about");
  store.project = about.project;
  document.title = `${about.title} · captions`;
  get("about").textContent = `Model: ${about.model}. Project: ${about.project}.`;
  showSamples(about.samples, add);
  showOut(about, say);
  await storing.refresh();
  sortAgain();
  showProgress();
  for (;;) {
    await new Promise((done) => setTimeout(done, document.hidden ? 5000 : 1000));
    await storing.refresh().catch((error) => say(error.message));
    if (store.notice) {
      say(store.notice);
      store.notice = "";
    }
  }
}

start();
