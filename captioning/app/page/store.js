// The rows of all photos, as the server knows them, and the requests that change them.

const listeners = [];

export const store = {
  rows: new Map(), // number -> row
  revision: -1,
  progress: { done: 0, total: 0, seconds: null },
  project: "",
  client: kept("client", () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`),
};

function kept(name, make) {
  const value = localStorage.getItem(`desk-${name}`) ?? make();
  localStorage.setItem(`desk-${name}`, value);
  return value;
}

export function setting(name, otherwise) {
  return localStorage.getItem(`desk-${name}`) ?? otherwise;
}

export function keepSetting(name, value) {
  localStorage.setItem(`desk-${name}`, value);
}

// A caption that somebody has begun and not decided on stays in this browser, whatever happens. It
// is kept by the photo: another folder's photos, opened another day, have the same numbers.
const draftKey = (row) => `desk-draft-${row.photo ?? `${store.project} ${row.number}`}`;

export function draftOf(number) {
  const row = store.rows.get(number);
  return row ? localStorage.getItem(draftKey(row)) : null;
}

export function keepDraft(number, text) {
  const row = store.rows.get(number);
  if (!row) return;
  if (text === null) localStorage.removeItem(draftKey(row));
  else localStorage.setItem(draftKey(row), text);
}

// By the photo's content, as soon as it is known: a browser keeps pictures by their addresses.
export function pictureOf(number, size) {
  const photo = store.rows.get(number)?.photo;
  return `/desk/photos/${number}/picture/${size}${photo ? `?of=${photo}` : ""}`;
}

// What is to be read as the photo's caption now.
export function captionOf(row) {
  return draftOf(row.number) ?? row.caption ?? row.said ?? "";
}

export function onChange(listener) {
  listeners.push(listener);
}

function tell(changed) {
  for (const listener of listeners) listener(changed);
}

export class Refused extends Error {}

export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refused("The desk doesn't answer. Is it still running? Nothing is lost.");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(answer.error ?? `The desk refused it (${response.status}).`);
  return answer;
}

export function send(path, body, method = "POST") {
  const headers = { "content-type": "application/json" };
  return ask(path, { method, headers, body: JSON.stringify(body) });
}

function take(row) {
  const known = store.rows.get(row.number);
  if (row.gone) store.rows.delete(row.number);
  else if (!known || row.revision >= known.revision) {
    const draft = known && !known.photo && row.photo ? draftOf(row.number) : null;
    if (draft !== null) keepDraft(row.number, null);
    store.rows.set(row.number, row);
    if (draft !== null) keepDraft(row.number, draft);
  }
}

export async function refresh() {
  const found = await ask(`/desk/changes?since=${store.revision}`);
  found.rows.forEach(take);
  store.revision = found.revision;
  const moved = JSON.stringify(found.progress) !== JSON.stringify(store.progress);
  store.progress = found.progress;
  if (found.notice) store.notice = found.notice;
  if (found.rows.length || moved) tell(found.rows.map((row) => row.number));
}

export async function decide(number, state, caption, seen) {
  const revision = seen ?? store.rows.get(number).revision;
  const body = { state, caption, revision, client: store.client };
  const after = await send(`/desk/photos/${number}`, { ...body, person: setting("person", "") });
  keepDraft(number, null);
  take(after);
  tell([number]);
}

export async function undo() {
  const { row, sentence } = await send("/desk/undo", { client: store.client });
  if (row) {
    take(row);
    tell([row.number]);
  }
  return { number: row?.number, sentence };
}

const details = new Map(); // "number revision" -> promise

export function detailsOf(number) {
  const key = `${number} ${store.rows.get(number)?.revision}`;
  if (!details.has(key)) {
    if (details.size > 200) details.clear();
    const found = ask(`/desk/photos/${number}`).then((answer) => {
      // It may know of captions before the list does: both tell the same at the same time.
      if (answer.revision > (store.rows.get(number)?.revision ?? answer.revision)) {
        details.set(`${number} ${answer.revision}`, found);
        take(answer);
        tell([number]);
      }
      return answer;
    });
    found.catch(() => details.delete(key));
    details.set(key, found);
  }
  return details.get(key);
}
