// Work in the background: how it goes is asked for twice a second, and the page is loaded anew at its end.
const shown = document.querySelector("[data-job]");

async function look() {
  const answer = await fetch(shown.dataset.job, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(String(answer.status));
  const job = await answer.json();
  if (job?.state !== "running") { location.assign(location.pathname); return; }
  const bar = shown.querySelector("progress");
  if (job.total) { bar.max = job.total; bar.value = job.done; }
  const words = job.total ? `${job.done.toLocaleString("en")} of ${job.total.toLocaleString("en")}` : job.done.toLocaleString("en");
  shown.querySelector("[data-count]").textContent = words;
  setTimeout(again, 500);
}

function again() { look().catch(() => setTimeout(again, 3000)); }

if (shown) again();
