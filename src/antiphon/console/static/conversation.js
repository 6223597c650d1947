// What was said, in order: entries with a `message` as the API takes it, and for answers what is known
// `about` them.
export class Conversation {
  constructor(entries = []) {
    this.entries = entries;
  }

  // Messages as they are sent: `system` first, if there is one; `draft` last, if something is typed.
  messages(system, draft) {
    const said = this.entries.map((entry) => entry.message);
    if (system) said.unshift({ role: "system", content: system });
    if (draft) said.push({ role: "user", content: draft });
    return said;
  }

  // The same for the next request; while nothing new is said, for the one that was answered last.
  next(system, draft) {
    const said = this.messages(system, draft);
    if (said.at(-1)?.role === "assistant") said.pop();
    return said;
  }

  add(entry) {
    this.entries.push(entry);
  }

  say(text) {
    this.add({ message: { role: "user", content: text } });
  }

  // Each call of the last answer waits for a result, which is typed.
  await() {
    for (const call of this.entries.at(-1).message.tool_calls ?? []) {
      const message = { role: "tool", tool_call_id: call.id, content: "" };
      this.add({ message, name: call.function.name });
    }
  }

  get waiting() {
    return this.entries.at(-1)?.message.role === "tool";
  }

  // The index of the first call without a result, or -1.
  get open() {
    return this.entries.findIndex(({ message }) => message.role === "tool" && !message.content);
  }

  // An entry, with the results of its calls: neither can be sent without the other.
  remove(index) {
    let end = index + 1;
    if (this.entries[index].message.tool_calls) while (this.entries[end]?.message.role === "tool") end += 1;
    this.entries.splice(index, end - index);
  }

  // Back to where an answer would come now in place of this one, or after this message.
  rewind(index) {
    this.entries.length = this.keptBy(index);
  }

  keptBy(index) {
    return this.entries[index].message.role === "assistant" ? index : index + 1;
  }

  clear() {
    this.entries.length = 0;
  }
}
