// A recording from the microphone, and how loud it is meanwhile.
const TYPES = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];
const LONGEST_SECONDS = 60;

// Starts to record. `loud` is told a number from 0 to 1 again and again. Rejects if there is no microphone to be had.
export async function record(loud) {
  if (!navigator.mediaDevices) throw new Error("This browser records only on pages of https, or of this machine.");
  const sound = await navigator.mediaDevices.getUserMedia({ audio: true });
  const recorder = new MediaRecorder(sound, { mimeType: TYPES.find((type) => MediaRecorder.isTypeSupported(type)) });
  const pieces = [];
  recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
  const ended = new Promise((resolve) => recorder.addEventListener("stop", resolve));
  const quiet = meter(sound, loud);
  recorder.start();
  const limit = setTimeout(() => recorder.stop(), LONGEST_SECONDS * 1000);
  const recording = ended.then(() => {
    clearTimeout(limit);
    quiet();
    sound.getTracks().forEach((track) => track.stop());
    return { blob: new Blob(pieces, { type: recorder.mimeType }), at: performance.now() };
  });
  return { recording, stop: () => recorder.state === "recording" && recorder.stop() };
}

function meter(sound, loud) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(sound).connect(analyser);
  const wave = new Float32Array(analyser.fftSize);
  const look = setInterval(() => {
    analyser.getFloatTimeDomainData(wave);
    loud(Math.min(1, 4 * Math.sqrt(wave.reduce((sum, value) => sum + value * value, 0) / wave.length)));
  }, 80);
  return () => {
    clearInterval(look);
    context.close();
  };
}
