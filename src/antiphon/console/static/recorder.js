// The microphone: how loud it is, and a file in the end.
const KINDS = { "audio/webm": "webm", "audio/ogg": "ogg", "audio/mp4": "m4a" };

export class Recorder {
  // Asks for the microphone. `level` is told how loud it is, 0 to 1, and how many seconds there are.
  // Throws an Error that says why there is none.
  static async open(level) {
    if (!navigator.mediaDevices) {
      throw new Error("Browsers give pages the microphone over https alone. Choose a file instead.");
    }
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true }).catch((problem) => {
      throw new Error(REASONS[problem.name] ?? `The microphone could not be opened: ${problem.message}`);
    });
    return new Recorder(stream, level);
  }

  constructor(stream, level) {
    this.stream = stream;
    this.level = level;
    this.pieces = [];
    this.media = new MediaRecorder(stream);
    this.media.addEventListener("dataavailable", ({ data }) => this.pieces.push(data));
    this.ended = new Promise((resolve) => this.media.addEventListener("stop", resolve));
    this.sound = new AudioContext();
    this.analyser = this.sound.createAnalyser();
    this.sound.createMediaStreamSource(stream).connect(this.analyser);
    this.began = performance.now();
    this.media.start(1000); // a piece a second
    this.listen();
  }

  listen() {
    if (this.media.state !== "recording") return;
    const samples = new Float32Array(this.analyser.fftSize);
    this.analyser.getFloatTimeDomainData(samples);
    const loud = Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length);
    this.level(Math.min(1, loud * 4), (performance.now() - this.began) / 1000);
    requestAnimationFrame(() => this.listen());
  }

  async stop() {
    if (this.media.state === "recording") this.media.stop();
    await this.ended;
    for (const track of this.stream.getTracks()) track.stop();
    await this.sound.close();
    const kind = this.media.mimeType.split(";")[0];
    const moment = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
    return new File(this.pieces, `recording ${moment}.${KINDS[kind] ?? "webm"}`, { type: kind });
  }
}

const REASONS = {
  NotAllowedError: "This page may not use the microphone. Allow it beside the address, or choose a file.",
  NotFoundError: "There is no microphone. Choose a file instead.",
  NotReadableError: "Another program holds the microphone. End it, or choose a file.",
};
