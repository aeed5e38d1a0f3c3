// The list: of 10,000 rows only those on the screen are in the page. The order stays until asked.

import { captionOf, draftOf, keepDraft, onChange, pictureOf, send, setting, store } from "./store.js";

const MORE = 8; // rows above and below the screen
const STATES = {
  todo: "to do", approved: "approved", edited: "edited", skipped: "skipped", decorative: "decorative",
};

const list = document.getElementById("list");
const box = document.getElementById("rows");
const elements = new Map(); // number -> its element, as long as it is near the screen
let order = []; // numbers of all photos
let shown = []; // those that search and filter leave
let places = new Map(); // number -> place in `shown`
let chosen = null;
let editing = null;
let height = 76;
let filter = { text: "", state: "" };
let choose = () => {};
let finish = () => {};

export const chosenNumber = () => chosen;
export const isEditing = () => editing !== null;
export const shownCount = () => shown.length;

export function onChoose(listener) { choose = listener; }
export function onFinish(listener) { finish = listener; }

export function sortRows() {
  const rows = [...store.rows.values()];
  const byName = (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.number - b.number);
  const sure = (row) => (row.error ? 2 : row.score ?? 1);
  if (setting("order", "sure") === "name") rows.sort(byName);
  else rows.sort((a, b) => sure(a) - sure(b) || byName(a, b));
  order = rows.map((row) => row.number);
  arrange();
}

export function setFilter(changed) {
  filter = { ...filter, ...changed };
  arrange();
}

function passes(row) {
  if (filter.state === "unlike") {
    if (!row.unlike) return false;
  } else if (filter.state === "two") {
    if (!row.rivals.length && row.number !== chosen) return false;
  } else if (filter.state && row.state !== filter.state && row.number !== chosen) return false;
  if (!filter.text) return true;
  return `${row.name} ${captionOf(row)}`.toLowerCase().includes(filter.text);
}

function arrange() {
  const known = new Set(order);
  for (const number of store.rows.keys()) if (!known.has(number)) order.push(number);
  order = order.filter((number) => store.rows.has(number));
  shown = order.filter((number) => passes(store.rows.get(number)));
  places = new Map(shown.map((number, place) => [number, place]));
  height = parseInt(getComputedStyle(document.documentElement).getPropertyValue("--row")) || 76;
  box.style.height = `${shown.length * height}px`;
  document.getElementById("none").hidden = shown.length > 0 || store.rows.size === 0;
  if (chosen === null || !store.rows.has(chosen)) chosen = null;
  draw(true);
}

export function firstToDo(from = 0) {
  for (let place = from; place < shown.length; place++) {
    if (store.rows.get(shown[place]).state === "todo") return shown[place];
  }
  return null;
}

export function nextToDo() {
  const place = places.get(chosen) ?? -1;
  return firstToDo(place + 1) ?? shown[Math.min(place + 1, shown.length - 1)] ?? null;
}

export function neighbour(step) {
  const place = places.get(chosen) ?? (step > 0 ? -1 : 0);
  return shown[Math.max(0, Math.min(shown.length - 1, place + step))] ?? null;
}

export const ends = (last) => shown[last ? shown.length - 1 : 0] ?? null;
export const perScreen = () => Math.max(1, Math.floor(list.clientHeight / height) - 1);

export function select(number, focus = true) {
  if (number === null) return;
  const before = chosen;
  chosen = number;
  if (editing !== null && editing !== number) stopEditing();
  const place = places.get(number);
  if (place !== undefined) {
    const top = place * height;
    // A row of what comes next stays in sight.
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + 2 * height > list.scrollTop + list.clientHeight) {
      list.scrollTop = top + 2 * height - list.clientHeight;
    }
  }
  draw();
  if (before !== null && elements.has(before)) fill(elements.get(before), before);
  if (elements.has(number)) {
    fill(elements.get(number), number);
    if (focus && editing === null) elements.get(number).button.focus({ preventScroll: true });
  }
  if (before !== number) choose(number);
}

function draw(all = false) {
  const first = Math.max(0, Math.floor(list.scrollTop / height) - MORE);
  const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / height) + MORE);
  const wanted = new Set(shown.slice(first, last));
  // The chosen row keeps the keyboard's focus, also where it has been scrolled away.
  if (places.has(chosen)) wanted.add(chosen);
  for (const [number, element] of elements) {
    if (!wanted.has(number)) {
      element.remove();
      elements.delete(number);
    }
  }
  // In the page they stand as on the screen: so a screen reader reads them.
  const focused = document.activeElement;
  let next = box.firstChild;
  for (const number of [...wanted].sort((a, b) => places.get(a) - places.get(b))) {
    const isNew = !elements.has(number);
    if (isNew) elements.set(number, makeRow(number));
    const element = elements.get(number);
    const place = places.get(number);
    if (element.place !== place) {
      element.place = place;
      element.style.transform = `translateY(${place * height}px)`;
      element.setAttribute("aria-posinset", place + 1);
    }
    if (element === next) next = next.nextSibling;
    else box.insertBefore(element, next);
    if (isNew || all) fill(element, number);
  }
  // An element that is moved loses the focus.
  if (focused !== document.activeElement && box.contains(focused)) focused.focus();
}

function makeRow(number) {
  const row = document.createElement("div");
  row.className = "row";
  row.setAttribute("role", "listitem");
  const image = document.createElement("img");
  image.alt = "";
  image.addEventListener("error", () => image.removeAttribute("src")); // the row says why
  // Rows that only fly by while somebody scrolls ask for no picture.
  setTimeout(() => {
    if (elements.get(number) !== row) return;
    row.photo = store.rows.get(number)?.photo ?? null;
    image.src = pictureOf(number, "small");
  }, 60);
  const text = document.createElement("div");
  text.className = "text";
  const button = document.createElement("button");
  button.className = "caption";
  const facts = document.createElement("span");
  facts.className = "facts";
  text.append(button, facts);
  const state = document.createElement("span");
  state.className = "state";
  row.append(image, text, state);
  row.addEventListener("click", (event) => {
    if (event.target.tagName !== "TEXTAREA") select(number);
  });
  row.addEventListener("dblclick", () => edit(number));
  return Object.assign(row, { button, facts, state, image });
}

function fill(element, number) {
  const row = store.rows.get(number);
  if (!row) return;
  // The file has got another content: another picture.
  if (element.photo && row.photo && element.photo !== row.photo) element.image.src = pictureOf(number, "small");
  if (element.photo !== undefined) element.photo = row.photo ?? element.photo;
  const caption = captionOf(row);
  const wait = row.error ? `can't be read: ${row.error}` : "no caption yet";
  const isDecorative = row.state === "decorative";
  const isDraft = draftOf(number) !== null;
  const isModel = row.caption === null && !isDraft;
  const sure = row.score === null ? "" : `sure ${Math.round(100 * Math.exp(row.score))}%`;
  const unlike = row.unlike ? "unlike the training photos" : "";
  const state = row.rivals.length ? "two versions" : isDraft ? "draft" : STATES[row.state];
  element.button.textContent = isDecorative ? "(decorative)" : caption || wait;
  element.button.classList.toggle("is-model", isModel || isDecorative || !caption);
  element.facts.textContent = [row.name, sure, unlike].filter(Boolean).join(" · ");
  element.state.textContent = row.person ? `${state} · ${row.person}` : state;
  element.state.className = `state ${row.rivals.length ? "clash" : isDraft ? "" : row.state}`;
  element.button.setAttribute(
    "aria-label",
    [element.button.textContent, row.name, state, sure, unlike].filter(Boolean).join(", "),
  );
  const isChosen = number === chosen;
  element.classList.toggle("is-chosen", isChosen);
  element.classList.toggle("is-unlike", row.unlike);
  element.setAttribute("aria-setsize", shown.length);
  if (isChosen) element.button.setAttribute("aria-current", "true");
  else element.button.removeAttribute("aria-current");
  // One stop for the tab key: the arrows move within the list.
  element.button.tabIndex = isChosen || (chosen === null && element.place === 0) ? 0 : -1;
}

export function redraw(number) {
  if (elements.has(number)) fill(elements.get(number), number);
}

export function edit(number = chosen) {
  const row = store.rows.get(number);
  if (!row || row.error) return;
  select(number, false);
  const element = elements.get(number);
  if (!element || element.querySelector("textarea")) return;
  editing = number;
  const { revision } = row; // what is changed by others while somebody writes is kept as well
  const field = document.createElement("textarea");
  field.maxLength = 1000;
  field.value = captionOf(row);
  field.setAttribute("aria-label", `Caption of ${row.name}`);
  field.addEventListener("input", () => keepDraft(number, field.value));
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      const text = field.value.trim();
      if (!text) return;
      stopEditing();
      finish(number, text, revision);
    } else if (event.key === "Escape") {
      keepDraft(number, null);
      stopEditing();
      select(number);
      choose(number);
    }
  });
  element.append(field);
  element.style.zIndex = 3;
  field.focus();
  field.setSelectionRange(field.value.length, field.value.length);
}

function stopEditing() {
  const element = elements.get(editing);
  element?.querySelector("textarea")?.remove();
  if (element) {
    element.style.zIndex = "";
    fill(element, editing);
  }
  editing = null;
}

// What is on the screen is captioned first.
let looking = null;
function tellWhatIsSeen() {
  clearTimeout(looking);
  looking = setTimeout(() => {
    const first = Math.floor(list.scrollTop / height);
    const last = Math.ceil((list.scrollTop + list.clientHeight) / height);
    const numbers = shown.slice(first, last).filter((number) => {
      const row = store.rows.get(number);
      return row && row.score === null && !row.error;
    });
    if (chosen !== null && numbers.includes(chosen)) numbers.unshift(chosen);
    if (numbers.length) send("/desk/look", { numbers: [...new Set(numbers)] }).catch(() => {});
  }, 120);
}

let waiting = false;
list.addEventListener("scroll", () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw();
    tellWhatIsSeen();
  });
}, { passive: true });
new ResizeObserver(() => draw()).observe(list);

onChange((changed) => {
  const isNew = changed.some((n) => !places.has(n) && store.rows.has(n));
  const isGone = changed.some((n) => places.has(n) && !store.rows.has(n));
  if (isNew || isGone) {
    arrange();
    tellWhatIsSeen();
    return;
  }
  for (const number of changed) if (elements.has(number)) fill(elements.get(number), number);
});
