// What the pages of the applications have in common.

export const at = (id) => document.getElementById(id);

/** An element with a text and a class. */
export function make(tag, text = "", style = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (style) made.className = style;
  return made;
}

/** What the application's server answers, as JSON; throws what it says if it refuses. */
export async function json(response) {
  const found = await response.json();
  if (!response.ok) throw new Error(found.error);
  return found;
}

/** Post a JSON object, and hand over each event of the answer as it comes; throws the server's error. */
export async function ask(path, body, handle, signal) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  if (!response.ok) await json(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const event of lines.map((line) => JSON.parse(line))) {
      if (event.error) throw new Error(event.error);
      handle(event);
    }
  }
}

/** Keep what grows in sight, unless somebody has scrolled up to read. */
export function follow(element) {
  const { scrollHeight, scrollTop, clientHeight } = document.scrollingElement;
  if (scrollHeight - scrollTop - clientHeight < 300) element.scrollIntoView({ block: "end" });
}

/**
 * One request at a time: `run(words, act)` shows the words in #state and #stop in the place of #send while
 * `act(signal)` works, and what goes wrong in #problem. Says whether it went well; a stop counts as well.
 */
export function turns() {
  let running = null;
  const busy = (words) => {
    const pressed = [at("send"), at("stop")].includes(document.activeElement);
    at("state").textContent = words;
    at("send").hidden = Boolean(words);
    at("stop").hidden = !words;
    if (pressed) at(words ? "stop" : "send").focus(); // one takes the other's place for the keyboard, too
  };
  at("stop").addEventListener("click", () => running?.abort());
  return {
    get busy() { return running !== null; },
    stop: () => running?.abort(),
    async run(words, act) {
      if (running) return false;
      const mine = running = new AbortController();
      at("problem").hidden = true;
      busy(words);
      try {
        await act(mine.signal);
      } catch (problem) {
        if (problem.name !== "AbortError") {
          at("problem").textContent = problem.message;
          at("problem").hidden = false;
          return false;
        }
      } finally {
        running = null;
        busy("");
      }
      return true;
    },
  };
}
