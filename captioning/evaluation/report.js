// The table of all photos: its heads sort it, words filter it. Without this it is a plain table.

const table = document.getElementById("all-rows");
const body = table.tBodies[0];
const heads = [...table.tHead.rows[0].cells];
const search = document.getElementById("search");
const isMarkedOnly = document.getElementById("marked-only");
const count = document.getElementById("count");

const rows = [...body.rows].map((element) => ({
  element,
  text: element.textContent.toLowerCase(),
  isMarked: element.querySelector("mark") !== null,
  keys: [...element.cells].map((cell) => cell.dataset.key ?? cell.textContent.trim().toLowerCase()),
}));

// Of two keys the smaller first; where nothing is known comes last, whichever way it goes.
function compare(one, other, isNumber, way) {
  if (one === "" || other === "") return (one === "") - (other === "");
  if (isNumber) return way * (Number(one) - Number(other));
  return way * (one < other ? -1 : one > other ? 1 : 0);
}

function sortBy(column) {
  const head = heads[column];
  const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of heads) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
  const isNumber = "number" in head.dataset;
  rows.sort((a, b) => compare(a.keys[column], b.keys[column], isNumber, way));
  body.append(...rows.map((row) => row.element));
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const isShown =
      words.every((word) => row.text.includes(word)) && (!isMarkedOnly.checked || row.isMarked);
    row.element.hidden = !isShown;
    shown += isShown;
  }
  count.textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} photos`;
}

heads.forEach((head, column) => {
  if (!("sorts" in head.dataset)) return;
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  button.addEventListener("click", () => sortBy(column));
  head.append(button);
});
search.addEventListener("input", filter);
isMarkedOnly.addEventListener("change", filter);
filter();
document.getElementById("tools").hidden = false;
