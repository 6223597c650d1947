// The conversation as it is seen: each message with what can be done to it.
import { speed } from "/console/chat.js";
import { element } from "/console/dom.js";

const WHO = { user: "You", assistant: "Model" };
const ENDS = { length: "cut off at the most tokens", content_filter: "cut off by a filter" };

export class Messages {
  // `acts`: what edit(index, text), remove(index), retry(index), typed() and send() do.
  constructor(list, acts) {
    this.list = list;
    this.acts = acts;
  }

  // `busy`: an answer is being written to the last entry.
  show(conversation, busy = false) {
    this.list.setAttribute("aria-busy", String(busy));
    const { entries } = conversation;
    const last = entries.length - 1;
    this.list.replaceChildren(...entries.map((entry, index) => this.one(entry, index, busy, index === last)));
  }

  // What has come of the last answer.
  grow({ message }) {
    const item = this.list.lastElementChild;
    const text = item.querySelector(".text");
    text.classList.remove("waiting");
    text.textContent = message.content;
    item.querySelector(".calls").replaceChildren(...calls(message));
  }

  one(entry, index, busy, last) {
    const { message, about } = entry;
    const who = message.role === "tool" ? `Result of ${entry.name}` : WHO[message.role];
    const waits = busy && last;
    const item = element("li", { class: `message ${message.role}` });
    const text = element("div", { class: waits ? "text waiting" : "text" }, waits ? "…" : message.content);
    const buttons = busy || message.role === "tool" ? [] : this.buttons(item, text, message, index);
    item.append(
      element("header", {}, element("h3", {}, who), element("div", { class: "row" }, ...buttons)),
      message.role === "tool" ? this.result(entry, busy) : text,
      element("div", { class: "calls" }, ...calls(message)),
    );
    if (about && !waits) item.append(...known(about));
    return item;
  }

  buttons(item, text, message, index) {
    const button = (word, click) => {
      const label = `${word} message ${index + 1}`;
      return element("button", { type: "button", class: "plain", "aria-label": label, click }, word);
    };
    return [
      button("Edit", () => this.edit(item, text, message, index)),
      button("Retry", () => this.acts.retry(index)),
      button("Remove", () => this.acts.remove(index)),
    ];
  }

  edit(item, text, message, index) {
    if (item.querySelector("textarea")) return;
    const field = element("textarea", { "aria-label": `Message ${index + 1}`, rows: "4" });
    field.value = message.content;
    const form = element("div", {}, field);
    const leave = () => form.replaceWith(text);
    const save = () => this.acts.edit(index, field.value);
    form.append(
      element("div", { class: "row send" },
        element("button", { type: "button", class: "small", click: save }, "Save"),
        element("button", { type: "button", class: "quiet small", click: leave }, "Cancel")),
    );
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.ctrlKey) save();
      if (event.key === "Escape") leave();
    });
    text.replaceWith(form);
    field.focus();
  }

  // Where the result of a call is typed.
  result({ message, name }, busy) {
    const placeholder = `What ${name} gives back, for instance as JSON`;
    const label = `Result of ${name}`;
    const field = element("textarea", { "aria-label": label, rows: "2", placeholder, disabled: busy });
    field.value = message.content;
    field.addEventListener("input", () => {
      message.content = field.value;
      this.acts.typed();
    });
    field.addEventListener("keydown", (event) => event.key === "Enter" && event.ctrlKey && this.acts.send());
    return field;
  }
}

function calls(message) {
  return (message.tool_calls ?? []).map(({ function: called }) =>
    element("pre", { tabindex: "0" }, element("code", {}, `${called.name}(${called.arguments})`)));
}

// One line, and how likely each token was if that was asked for.
function known(about) {
  const { usage, first, model, stopped, finish, cost, logprobs } = about;
  const cached = usage?.prompt_tokens_details?.cached_tokens;
  const again = cached ? ` (${cached} cached)` : "";
  const rate = speed(about);
  const parts = [
    stopped ? "stopped" : ENDS[finish],
    usage && `${usage.prompt_tokens} tokens in${again}, ${usage.completion_tokens} out`,
    first !== undefined && `first token after ${first.toFixed(2)} s`,
    rate && `${rate.toFixed(1)} tokens a second`,
    cost,
    model,
  ];
  const line = element("p", { class: "hint" }, parts.filter(Boolean).join(" · "));
  return logprobs.length ? [line, likely(logprobs)] : [line];
}

function likely(logprobs) {
  const cell = (one) => `${JSON.stringify(one.token)} ${(100 * Math.exp(one.logprob)).toFixed(1)} %`;
  const row = (kind, ...texts) => element("tr", {}, ...texts.map((text) => element(kind, {}, text)));
  const rows = logprobs.map((one) => row("td", cell(one), one.top_logprobs.map(cell).join(", ")));
  const head = element("thead", {}, row("th", "Token", "Likeliest there"));
  const table = element("table", {}, head, element("tbody", {}, ...rows));
  const summary = element("summary", {}, "How likely each token was");
  return element("details", {}, summary, element("div", { class: "scroll" }, table));
}
