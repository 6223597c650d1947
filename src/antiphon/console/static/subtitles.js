// A transcript as a file, written from the segments that are here already, letter for letter as the API does:
// asking for another format would understand the whole recording again, and bill it again.
const WRITERS = {
  txt: ({ text }) => `${text}\n`,
  srt: ({ segments }) => segments.map((one, index) => `${index + 1}\n${cue(one, ",")}`).join(""),
  vtt: ({ segments }) => `WEBVTT\n\n${segments.map((one) => cue(one, ".")).join("")}`,
  json: (transcript) => `${JSON.stringify(transcript, null, 2)}\n`,
};

export const written = (format, transcript) => WRITERS[format](transcript);

// One line, in which nothing can be taken for the arrow between the times.
function cue({ start, end, text }, point) {
  const line = text.trim().split(/\s+/).join(" ").replaceAll("-->", "->");
  return `${time(start, point)} --> ${time(end, point)}\n${line}\n\n`;
}

function time(seconds, point) {
  const all = Math.round(Math.max(0, seconds) * 1000);
  const two = (value) => String(Math.floor(value)).padStart(2, "0");
  const whole = [all / 3_600_000, (all / 60_000) % 60, (all / 1000) % 60].map(two).join(":");
  return `${whole}${point}${String(all % 1000).padStart(3, "0")}`;
}

// Save a text under a name.
export function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
