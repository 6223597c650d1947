// What pages can do beyond being read: copy buttons, the list of pages on a phone, where the reader is.
"use strict";
{
  const commands = (text) => {
    // Of a session only what was typed, with the lines that a backslash goes on with.
    const typed = [];
    let goesOn = false;
    for (const line of text.split("\n")) {
      if (line.startsWith("$ ") || goesOn) {
        typed.push(goesOn ? line : line.slice(2));
        goesOn = line.endsWith("\\");
      }
    }
    return typed.join("\n") + "\n";
  };

  for (const block of document.querySelectorAll("div.code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      const text = block.querySelector("code").textContent;
      try {
        await navigator.clipboard.writeText(block.dataset.language === "console" ? commands(text) : text);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(block.querySelector("code"));
        button.textContent = "Press Ctrl+C";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    block.prepend(button);
  }

  const menu = document.querySelector("button.menu");
  document.documentElement.classList.add("scripted");
  menu.hidden = false;
  menu.addEventListener("click", () => {
    const open = document.documentElement.classList.toggle("pages-open");
    menu.setAttribute("aria-expanded", String(open));
    if (open) document.querySelector("#frame-pages a, #frame-pages summary").focus();
  });

  const pages = document.querySelector("nav.pages");
  const here = pages.querySelector("[aria-current]");
  if (here && here.offsetTop > pages.clientHeight) pages.scrollTop = here.offsetTop - pages.clientHeight / 2;

  const links = new Map();
  for (const link of document.querySelectorAll("nav.contents a")) links.set(link.hash.slice(1), link);
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.classList.remove("here");
      links.get(entry.target.id).classList.add("here");
    }
  }, { rootMargin: "0px 0px -75% 0px" });
  for (const heading of document.querySelectorAll("article [id]")) if (links.has(heading.id)) seen.observe(heading);
}
