// What every page does: the menu of a small screen, copying, questions before what cannot be undone.
const { here } = document.documentElement.dataset;
// A page that answers a form has a form's address; loaded again, it would send that once more.
if (here) history.replaceState(null, "", here);

const menu = document.querySelector("[data-menu]");
menu?.addEventListener("click", () => {
  const open = document.getElementById("side").classList.toggle("open");
  menu.setAttribute("aria-expanded", String(open));
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  const words = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = words; }, 1500);
});

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
  // What was typed on pages that keep it is nobody else's.
  else if (event.target.action.endsWith("/account/sign-out")) sessionStorage.clear();
});
