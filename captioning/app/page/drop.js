// Photos that come by the page: dropped, chosen, from the webcam, or samples.

import { ask } from "./store.js";

const get = (id) => document.getElementById(id);
const AT_ONCE = 20; // so that one request stays small

export async function addPhotos(files, say, done) {
  const all = [...files];
  const refused = [];
  const numbers = [];
  for (let start = 0; start < all.length; start += AT_ONCE) {
    if (all.length > AT_ONCE) say(`${start} of ${all.length} photos are here`);
    const form = new FormData();
    for (const file of all.slice(start, start + AT_ONCE)) form.append("photo", file, file.name);
    try {
      const found = await ask("/desk/photos", { method: "POST", body: form });
      numbers.push(...found.numbers);
      refused.push(...found.refused);
    } catch (error) {
      refused.push(error.message);
    }
  }
  say(refused.length ? refused.join(" ") : `${numbers.length} photos are here`);
  await done(numbers);
}

export function startDropping(add) {
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("is-over");
  });
  addEventListener("dragleave", () => document.body.classList.remove("is-over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("is-over");
    if (event.dataTransfer.files.length) add(event.dataTransfer.files);
  });
  const files = get("files");
  for (const id of ["add", "add-first"]) get(id).addEventListener("click", () => files.click());
  files.addEventListener("change", () => {
    if (files.files.length) add(files.files);
    files.value = "";
  });
}

export function showSamples(names, add) {
  const buttons = names.map((name) => {
    const button = document.createElement("button");
    const image = document.createElement("img");
    image.src = `/samples/${name}`;
    image.alt = "";
    button.append(image, name.replace(/\.jpg$/, ""));
    button.addEventListener("click", async () => {
      const content = await (await fetch(`/samples/${name}`)).blob();
      add([new File([content], name, { type: "image/jpeg" })]);
    });
    return button;
  });
  get("samples").replaceChildren(...buttons);
}

let stream = null;
export function startWebcam(add, say) {
  const dialog = get("camera");
  get("webcam").addEventListener("click", async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: true });
    } catch (error) {
      say(`The webcam can't be used: ${error.message}.`);
      return;
    }
    get("video").srcObject = stream;
    dialog.showModal();
  });
  dialog.addEventListener("close", () => stream?.getTracks().forEach((track) => track.stop()));
  get("camera-close").addEventListener("click", () => dialog.close());
  get("shoot").addEventListener("click", () => {
    const video = get("video");
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 }).then((content) => {
      dialog.close();
      const time = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
      add([new File([content], `webcam ${time}.jpg`, { type: "image/jpeg" })]);
    });
  });
}
