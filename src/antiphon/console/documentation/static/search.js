// Search as one types, in the reader's own browser: titles count more than headings, and these more than texts.
"use strict";
{
  const SHOWN = 20;
  const OF_ONE_PAGE = 6;
  // How something is used is asked for more often than why it was decided, or how it was measured.
  const USED = ["", "Start", "Guides", "Reference", "Operations"];
  const box = document.querySelector(".search");
  const input = box.querySelector("input");
  const list = box.querySelector(".found");
  const said = box.querySelector(".said");
  let chosen = -1;
  let loading = null;
  box.hidden = false;

  const load = () => {
    loading ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = box.dataset.index;
      script.onload = () => resolve(prepared(globalThis.documentationIndex));
      script.onerror = () => { loading = null; reject(new Error("the index of search cannot be loaded")); };
      document.head.append(script);
    });
    return loading;
  };

  const prepared = ({ pages, sections }) => sections.map(([number, id, title, text]) => {
    const [page, group, address] = pages[number];
    return {
      number, page, group, title, text,
      address: box.dataset.base + address + (id ? "#" + id : ""),
      low: { page: page.toLowerCase(), title: title.toLowerCase(), text: text.toLowerCase() },
      weight: USED.includes(group) ? 1 : 0.6,
    };
  });

  const places = (text, term) => {
    // How often a term is in a text, how often at the beginning of a word, and whether it is a whole one.
    let [all, words, whole, at] = [0, 0, false, text.indexOf(term)];
    while (at >= 0 && all < 20) {
      const end = at + term.length;
      all += 1;
      if (at === 0 || !/[\p{L}\p{N}]/u.test(text[at - 1])) {
        words += 1;
        whole ||= end === text.length || !/[\p{L}\p{N}_]/u.test(text[end]);
      }
      at = text.indexOf(term, end);
    }
    return { all, words, whole };
  };

  const worth = (section, terms) => {
    // Of two texts that say it as often, the shorter one is about it; a reference is about all that it names.
    const length = section.group === "Reference" ? 0 : section.text.length;
    let sum = 0;
    for (const term of terms) {
      const [page, title, text] = ["page", "title", "text"].map((part) => places(section.low[part], term));
      const own =
        // "max_tokens" is looked for, and not "max_tokens_per_1_minute".
        (title.whole || text.whole ? 4 : 0) +
        (title.words ? 12 : title.all ? 5 : 0) +
        (text.words ? 2 + 4 * Math.min(1, (300 * text.words) / (300 + length)) : text.all ? 1 : 0);
      const whole = own + (page.words ? 8 : page.all ? 3 : 0);
      if (!whole) return 0;
      sum += own ? whole : whole / 4;
    }
    const phrase = terms.join(" ");
    if (section.low.title === phrase) sum += 20;
    if (section.low.page === phrase && section.title === section.page) sum += 20;
    if (terms.length > 1 && section.low.text.includes(phrase)) sum += 6;
    return sum * section.weight;
  };

  const found = (sections, terms) => {
    const counts = new Map();
    return sections
      .map((section) => [worth(section, terms), section])
      .filter(([value]) => value > 0)
      .sort((one, other) => other[0] - one[0])
      .map(([, section]) => section)
      .filter((section) => {
        counts.set(section.number, (counts.get(section.number) ?? 0) + 1);
        return counts.get(section.number) <= OF_ONE_PAGE;
      })
      .slice(0, SHOWN);
  };

  const element = (name, classes, ...content) => {
    const made = document.createElement(name);
    if (classes) made.className = classes;
    made.append(...content);
    return made;
  };

  const marked = (text, terms) => {
    // The text with each term marked.
    const pieces = text.split(new RegExp(`(${terms.map(escaped).join("|")})`, "gi"));
    return pieces.map((piece, at) => (at % 2 ? element("mark", "", piece) : piece));
  };
  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

  const excerpt = (section, terms) => {
    const at = Math.max(0, Math.min(...terms.map((term) => {
      const place = section.low.text.indexOf(term);
      return place < 0 ? Infinity : place;
    }).concat(section.text.length)) - 50);
    const from = at >= section.text.length - 50 ? 0 : at;
    const begin = from ? section.text.indexOf(" ", from) + 1 : 0;
    const end = section.text.length > begin + 150 ? section.text.lastIndexOf(" ", begin + 150) : section.text.length;
    return (begin ? "… " : "") + section.text.slice(begin, Math.max(end, begin)) + (end < section.text.length ? " …" : "");
  };

  const option = (section, number, terms) => {
    const trail = [section.group, section.page].filter(Boolean).join(" › ");
    const made = element("a", "",
      element("span", "trail", trail),
      element("b", "", ...marked(section.title, terms)),
      element("span", "excerpt", ...marked(excerpt(section, terms), terms)));
    made.href = section.address;
    made.tabIndex = -1;
    made.id = `frame-found-${number}`;
    made.setAttribute("role", "option");
    made.setAttribute("aria-selected", "false");
    return made;
  };

  const choose = (number) => {
    const options = list.children;
    if (!options.length) return;
    chosen = (number + options.length) % options.length;
    for (const [at, one] of [...options].entries()) one.setAttribute("aria-selected", String(at === chosen));
    options[chosen].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", options[chosen].id);
  };

  const close = () => {
    list.hidden = true;
    said.textContent = "";
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };

  const show = async () => {
    const asked = input.value;
    const terms = asked.toLowerCase().split(/\s+/).filter(Boolean);
    if (!terms.length) { list.replaceChildren(); close(); return; }
    let sections;
    try {
      sections = await load();
    } catch (problem) {
      said.textContent = `${problem.message}. Try again.`;
      return;
    }
    if (input.value !== asked) return;
    const hits = found(sections, terms);
    list.replaceChildren(...hits.map((section, number) => option(section, number, terms)));
    list.hidden = !hits.length;
    input.setAttribute("aria-expanded", String(!!hits.length));
    said.textContent = hits.length
      ? `${hits.length} found`
      : `Nothing holds “${asked.trim()}”. Try fewer or shorter words.`;
    said.classList.toggle("empty", !hits.length);
    if (hits.length) choose(0);
  };

  input.addEventListener("focus", () => {
    load().catch(() => {});
    if (input.value) show();
  });
  input.addEventListener("input", show);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Enter" && !list.hidden) list.children[chosen]?.click();
    else if (event.key === "Escape") { input.value = ""; close(); input.blur(); }
    else return;
    event.preventDefault();
  });
  list.addEventListener("click", () => { close(); input.blur(); });
  document.addEventListener("click", (event) => { if (!box.contains(event.target)) close(); });
  document.addEventListener("keydown", (event) => {
    const writing = event.target.matches?.("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !writing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      input.focus();
      input.select();
    }
  });
}
