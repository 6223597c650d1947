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
    this.list.replaceChildren(...entries.map((entry, index) => this.one(entry, index, busy, index === entries.length - 1)));
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
    const button = (word, act) =>
      element("button", { type: "button", class: "plain", "aria-label": `${word} message ${index + 1}`, click: act }, word);
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
    const hint = `What ${name} gives back, for instance as JSON`;
    const field = element("textarea", { "aria-label": `Result of ${name}`, rows: "2", placeholder: hint, disabled: busy });
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
  return (message.tool_calls ?? []).map((call) =>
    element("pre", { tabindex: "0" }, element("code", {}, `${call.function.name}(${call.function.arguments})`)));
}

// One line, and how likely each token was if that was asked for.
function known(about) {
  const { usage, first, model, stopped, finish, cost, logprobs } = about;
  const cached = usage?.prompt_tokens_details?.cached_tokens;
  const rate = speed(about);
  const parts = [
    stopped ? "stopped" : ENDS[finish],
    usage && `${usage.prompt_tokens} tokens in${cached ? ` (${cached} cached)` : ""}, ${usage.completion_tokens} out`,
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
  const rows = logprobs.map((one) =>
    element("tr", {}, element("td", {}, cell(one)), element("td", {}, one.top_logprobs.map(cell).join(", "))));
  const head = element("thead", {}, element("tr", {}, element("th", {}, "Token"), element("th", {}, "Likeliest there")));
  const table = element("table", {}, head, element("tbody", {}, ...rows));
  return element("details", {}, element("summary", {}, "How likely each token was"), element("div", { class: "scroll" }, table));
}
