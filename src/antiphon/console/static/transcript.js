// A transcript beside its player: a click on a word plays from there, and the word that is spoken is marked.
import { element } from "/console/dom.js";

export class Transcript {
  constructor(list, player) {
    this.list = list;
    this.player = player;
    this.words = []; // with their start and end, in order
    this.now = null;
    list.addEventListener("click", (event) => this.clicked(event));
    list.addEventListener("keydown", (event) => this.pressed(event));
    for (const moved of ["timeupdate", "seeked"]) player.addEventListener(moved, () => this.mark());
    player.addEventListener("play", () => this.follow());
  }

  clear() {
    this.list.replaceChildren();
    this.words = [];
    this.now = null;
  }

  // Words are found in the segment's text, which has the blanks and marks between them.
  add(segment, spoken) {
    const text = element("p");
    let rest = segment.text.trim();
    for (const one of spoken) {
      const at = rest.indexOf(one.word);
      if (at < 0) continue;
      text.append(rest.slice(0, at), this.word(one));
      rest = rest.slice(at + one.word.length);
    }
    text.append(rest);
    const from = element("button", { type: "button", class: "plain at", "data-start": segment.start,
      "aria-label": `Play from ${clock(segment.start)}` }, clock(segment.start));
    this.list.append(element("li", {}, from, text));
  }

  word({ word, start, end }) {
    // One stop of the tabulator for all words: arrows move between them.
    const tabindex = this.words.length ? "-1" : "0";
    const button = element("button", { type: "button", class: "word", "data-start": start, tabindex }, word);
    this.words.push({ start, end, button });
    return button;
  }

  clicked(event) {
    const button = event.target.closest("[data-start]");
    if (!button) return;
    this.player.currentTime = Number(button.dataset.start);
    this.player.play().catch(() => this.mark()); // what cannot be played is marked at least
  }

  pressed(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const index = this.words.findIndex(({ button }) => button === event.target);
    const next = this.words[index + step]?.button;
    if (index < 0 || !next) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  // Between two events of the player a word may be over: look at every frame while it plays.
  follow() {
    if (this.player.paused || this.player.ended) return;
    this.mark();
    requestAnimationFrame(() => this.follow());
  }

  mark() {
    const time = this.player.currentTime;
    const found = this.words[lastBegun(this.words, time)];
    const now = found && time < found.end ? found.button : null;
    if (now === this.now) return;
    this.now?.classList.remove("now");
    now?.classList.add("now");
    this.now = now;
  }
}

// The index of the last word that has begun by `time`, or -1.
function lastBegun(words, time) {
  let [low, high] = [0, words.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (words[middle].start <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
