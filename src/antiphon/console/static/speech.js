// The page on which recordings are understood: one recording, its transcript, and its translation beside it.
import { tell } from "/console/api.js";
import { byId } from "/console/dom.js";
import { chosen, explain, priceOfSound } from "/console/model.js";
import { cost, ofSound } from "/console/money.js";
import { Recorder } from "/console/recorder.js";
import { fill, keep, restore, values } from "/console/stored.js";
import { download, written } from "/console/subtitles.js";
import { transcribe } from "/console/transcribe.js";
import { Transcript, clock } from "/console/transcript.js";

const { owner, bytes } = byId("speech").dataset;
const settings = byId("settings");
const player = byId("player");
const problem = byId("problem");
const TASKS = { transcribe: "transcript", translate: "translation" };
const texts = {};
for (const [task, id] of Object.entries(TASKS)) {
  const section = byId(id);
  const view = new Transcript(section.querySelector("[data-segments]"), player);
  texts[task] = { section, view, about: section.querySelector("[data-about]"), whole: null };
}
let file = null;
let unsaved = false; // whether it was spoken here, and is nowhere else
let recorder = null;
let working = null; // what aborts the request that runs

// --- the recording ---------------------------------------------------------------------------------------

function take(chosenFile, spoken = false) {
  problem.hidden = true;
  if (chosenFile.size > Number(bytes)) {
    const size = mebibytes(chosenFile.size);
    tell(problem, { message: `“${chosenFile.name}” has ${size}: more than the server takes.` });
    return;
  }
  if (unsaved && !window.confirm("What you recorded is not saved. Put this in its place?")) return;
  file = chosenFile;
  unsaved = spoken;
  if (player.src) URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(file);
  Object.assign(byId("save"), { href: player.src, download: file.name, hidden: !spoken });
  byId("name").textContent = file.name;
  byId("size").textContent = mebibytes(file.size);
  byId("ready").hidden = false;
  for (const text of Object.values(texts)) {
    text.section.hidden = true;
    text.whole = null;
    text.view.clear();
  }
  ready();
}

function mebibytes(size) {
  return size < 1_048_576 ? `${Math.ceil(size / 1024)} KiB` : `${(size / 1_048_576).toFixed(1)} MiB`;
}

// A recorder writes no length: browsers find it by going to the end once.
player.addEventListener("loadedmetadata", () => {
  if (player.duration !== Infinity) return;
  player.addEventListener("durationchange", () => { player.currentTime = 0; }, { once: true });
  player.currentTime = 1e7;
});

async function record() {
  problem.hidden = true;
  byId("record").disabled = true;
  try {
    recorder = await Recorder.open((level, seconds) => {
      byId("level").value = level;
      byId("timer").textContent = clock(seconds);
    });
  } catch (error) {
    tell(problem, error);
  }
  ready();
  if (recorder) byId("end-recording").focus();
}

async function endRecording() {
  const whole = await recorder.stop();
  recorder = null;
  take(whole, true);
  ready();
  byId("transcribe").focus();
}

function ready() {
  const busy = recorder !== null || working !== null;
  byId("record").disabled = busy;
  byId("file").disabled = busy;
  for (const task of Object.keys(TASKS)) byId(task).disabled = busy || file === null;
  for (const id of ["end-recording", "level", "timer"]) byId(id).hidden = recorder === null;
  byId("first").hidden = file !== null;
  byId("stop").hidden = working === null;
  byId("progress").hidden = working === null;
}

// --- understanding it ------------------------------------------------------------------------------------

async function understand(task) {
  if (!file || working || !settings.reportValidity()) return;
  const text = texts[task];
  const price = { ...chosen() };
  const began = performance.now();
  problem.hidden = true;
  working = new AbortController();
  text.view.clear();
  text.whole = null;
  text.about.textContent = "";
  begin(task);
  ready();
  try {
    const fields = values(settings);
    text.whole = await transcribe(task, file, fields, fields.project, working.signal, told(text));
    finish(text, price, (performance.now() - began) / 1000);
  } catch (error) {
    byId("live").textContent = "";
    text.about.textContent = "Broken off: the beginning is here, and can be asked for again.";
    if (error.name !== "AbortError") tell(problem, error);
  }
  text.section.hidden = text.whole === null && text.view.list.childElementCount === 0;
  const downloads = text.section.querySelectorAll("[data-download]");
  for (const button of downloads) button.disabled = text.whole === null;
  working = null;
  ready();
}

function begin(task) {
  byId("bar").removeAttribute("value");
  byId("doing").textContent = "Sent; the first words are awaited.";
  byId("live").textContent = `The recording is sent: its ${TASKS[task]} is made.`;
}

// What is seen while it goes on: how far it is, of how much.
function told({ section, view }) {
  let length = 0;
  return {
    begins(seconds) {
      length = seconds;
      byId("bar").value = 0;
      byId("doing").textContent = `0:00 of ${clock(length)}`;
    },
    segment(segment, spoken) {
      section.hidden = false;
      view.add(segment, spoken);
      byId("bar").value = length ? Math.min(1, segment.end / length) : 1;
      byId("doing").textContent = `${clock(segment.end)} of ${clock(length)}`;
    },
  };
}

function finish(text, price, took) {
  const { duration, language, usage, segments } = text.whole;
  text.section.hidden = false;
  text.about.textContent = [
    language && language[0].toUpperCase() + language.slice(1),
    `${duration.toFixed(1)} s of sound`,
    `understood in ${took.toFixed(1)} s`,
    cost(price, ofSound(price, usage.seconds)),
    segments.length ? "" : "nothing is said in it",
  ].filter(Boolean).join(" · ");
  byId("live").textContent = `Done: ${text.whole.text || "nothing is said."}`;
}

// --- what is pressed -------------------------------------------------------------------------------------

byId("file").addEventListener("change", (event) => event.target.files.length && take(event.target.files[0]));
byId("record").addEventListener("click", record);
byId("end-recording").addEventListener("click", endRecording);
settings.addEventListener("submit", (event) => {
  event.preventDefault();
  understand("transcribe");
});
byId("translate").addEventListener("click", () => understand("translate"));
byId("stop").addEventListener("click", () => working?.abort());
byId("save").addEventListener("click", () => { unsaved = false; });
document.addEventListener("keydown", (event) => event.key === "Escape" && working?.abort());
for (const { section } of Object.values(texts)) {
  section.addEventListener("click", ({ target }) => {
    const format = target.dataset.download;
    const { whole } = Object.values(texts).find((one) => one.section === section);
    if (!format || !whole) return;
    const name = file.name.replace(/\.[^.]*$/, "") + (whole.task === "translate" ? ".en" : "");
    download(`${name}.${format}`, written(format, whole));
  });
}
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.toggle("dropping", kind === "dragenter" || kind === "dragover");
    const [dropped] = kind === "drop" ? event.dataTransfer.files : [];
    if (dropped && !working && !recorder) take(dropped);
  });
}
settings.addEventListener("input", () => {
  explain(priceOfSound);
  keep("speech", owner, values(settings));
});
addEventListener("beforeunload", (event) => (recorder || unsaved) && event.preventDefault());

const kept = restore("speech", owner);
if (kept) fill(settings, kept);
explain(priceOfSound);
ready();
