// One turn: record, have it heard, show how it was said, and let Sam answer.
import { ask, at, json, make, turns } from "/kit/kit.js";

const LONGEST_MS = 60_000;
const one = turns();
const talk = []; // what was said, you and Sam in turn

/** What the microphone hears until the signal, or for a minute. */
async function record(signal) {
  const sound = await navigator.mediaDevices.getUserMedia({ audio: true }).catch(() => {
    throw new Error("There is no microphone that may be used. Allow it for this page, and try again.");
  });
  try {
    signal.throwIfAborted();
    const recorder = new MediaRecorder(sound);
    const pieces = [];
    recorder.ondataavailable = ({ data }) => pieces.push(data);
    const stopped = new Promise((resolve) => { recorder.onstop = resolve; });
    AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)]).onabort = () => recorder.stop();
    recorder.start();
    at("state").textContent = "Speak now …";
    await stopped;
    return new Blob(pieces, { type: recorder.mimeType });
  } finally {
    sound.getTracks().forEach((track) => track.stop());
  }
}

function figure(id, value, more = "") {
  at(id).replaceChildren(value, make("small", more));
}

function piece({ wanted, said }) {
  if (wanted === said) return [`${said} `];
  const parts = [wanted && make("del", wanted), said && make("ins", said)];
  return parts.filter(Boolean).flatMap((part) => [part, " "]);
}

/** A word that was heard, with the second at which it began; pressed, it is played from there. */
function timed({ word, start }) {
  const button = make("button", word);
  const player = at("player");
  button.type = "button";
  button.append(make("small", ` ${start.toFixed(1)}\u00a0s`));
  button.addEventListener("click", () => {
    player.currentTime = start;
    player.play();
  });
  return button;
}

/** What can be played again is the last recording. */
function keep(recording) {
  URL.revokeObjectURL(at("player").src);
  at("player").src = URL.createObjectURL(recording);
}

function show({ timed: heard, pace, verdict, pauses, fillers, compared }) {
  at("how").hidden = false;
  at("words").replaceChildren(...compared.flatMap(piece));
  at("timed").replaceChildren(...heard.map(timed));
  figure("pace", pace ?? "–", verdict && `words a minute: ${verdict}`);
  const where = pauses.map(({ seconds, after }) => `${seconds} s after “${after}”`);
  figure("pauses", pauses.length || "none", where.join(", "));
  figure("fillers", fillers.length || "none", fillers.join(", "));
  figure("latency", "…");
}

function bubble(name, text = "", style = "") {
  const words = make("span", text);
  const card = make("div", "", `card ${style}`);
  card.append(make("b", name), words);
  at("talk").append(card);
  card.scrollIntoView({ block: "nearest" });
  return words;
}

/** Show the answer as it comes; `began` is told when its first words do. What got none is not kept. */
async function answer(text, signal, began) {
  const mine = bubble("You", text, "mine");
  const sams = bubble("Sam");
  sams.className = "writing";
  try {
    await ask("answer", { talk: [...talk, text] }, (event) => {
      if (!sams.textContent) began();
      sams.textContent = event.answer;
    }, signal);
  } finally {
    sams.className = "";
    if (sams.textContent) talk.push(text, sams.textContent);
    else [mine, sams].forEach((words) => words.parentElement.remove());
  }
}

/** Work until it is done, or stopped with the button, which is called `stop` meanwhile. */
function work(words, stop, act) {
  at("again").hidden = true;
  at("stop").textContent = stop;
  return one.run(words, act);
}

async function turn(recording) {
  const spoken = performance.now();
  const seconds = () => `${((performance.now() - spoken) / 1000).toFixed(1)}\u00a0s`;
  const well = await work("Listening to what you said …", "Stop the answer", async (signal) => {
    const query = new URLSearchParams({ target: at("target").value });
    const heard = await json(await fetch(`hear?${query}`, { method: "POST", body: recording, signal }));
    if (!heard.text) throw new Error("Nothing was heard. Is the right microphone chosen, and loud enough?");
    const hearing = `after you stopped; ${seconds()} of it to hear you`;
    keep(recording);
    show(heard);
    at("state").textContent = "Sam is answering …";
    await answer(heard.text, signal, () => figure("latency", seconds(), hearing));
  });
  at("again").hidden = well;
  at("again").onclick = () => turn(recording);
}

at("send").addEventListener("click", async () => {
  let recording;
  at("player").pause(); // it would be heard
  await work("Opening the microphone …", "Stop speaking", async (signal) => {
    recording = await record(signal);
  });
  if (recording) await turn(recording);
});

let typed = false;
at("target").addEventListener("input", () => (typed = true));
const sentences = await json(await fetch("sentences.json"));
at("another").addEventListener("click", () => {
  at("target").value = sentences[(sentences.indexOf(at("target").value) + 1) % sentences.length];
});
if (!typed) at("another").click(); // else somebody was faster, and keeps what they wrote or cleared
