// Recording, decoding and playing. What is sent is WAV, which every server reads.

let context;

export function audioContext() {
  context ??= new AudioContext();
  return context;
}

// A WAV file of 16 bits of one channel.
export function wav(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const word = (at, letters) => [...letters].forEach((l, k) => view.setUint8(at + k, l.charCodeAt(0)));
  word(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); word(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  word(36, "data"); view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, k) => {
    view.setInt16(44 + 2 * k, Math.round(32767 * Math.max(-1, Math.min(1, sample))), true);
  });
  return new Blob([view.buffer], {type: "audio/wav"});
}

// Microphone to samples: {level() from 0 to 1, seconds(), stop() -> WAV}.
export async function record() {
  if (!navigator.mediaDevices) {
    throw new Error("The browser gives the microphone to pages of https or localhost alone; " +
      "drop a file instead.");
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: {echoCancellation: false, noiseSuppression: false, autoGainControl: false},
    });
  } catch (error) {
    throw new Error(error.name === "NotAllowedError"
      ? "The microphone was not allowed; allow it in the browser's address bar, or drop a file."
      : "No microphone was found; drop a file instead.");
  }
  const audio = audioContext();
  await audio.resume();
  await audio.audioWorklet.addModule("recorder.js");
  const source = audio.createMediaStreamSource(stream);
  const node = new AudioWorkletNode(audio, "recorder", {numberOfOutputs: 0});
  const pieces = [];
  let count = 0, level = 0;
  node.port.onmessage = ({data}) => {
    pieces.push(data);
    count += data.length;
    const loudest = data.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    level = Math.max(loudest, 0.92 * level);
  };
  source.connect(node);
  return {
    level: () => level,
    seconds: () => count / audio.sampleRate,
    stop() {
      source.disconnect();
      stream.getTracks().forEach((track) => track.stop());
      const samples = new Float32Array(count);
      let at = 0;
      for (const piece of pieces) { samples.set(piece, at); at += piece.length; }
      return wav(samples, audio.sampleRate);
    },
  };
}

// Samples of any file that the browser plays, one channel.
export async function decode(blob) {
  const buffer = await audioContext().decodeAudioData(await blob.arrayBuffer());
  const samples = new Float32Array(buffer.length);
  for (let c = 0; c < buffer.numberOfChannels; c++) {
    buffer.getChannelData(c).forEach((s, k) => { samples[k] += s / buffer.numberOfChannels; });
  }
  return {samples, rate: buffer.sampleRate, buffer};
}

// A file as it is sent: WAV as it is, all else decoded here.
export async function asWav(file) {
  const head = new TextDecoder("latin1").decode(await file.slice(0, 12).arrayBuffer());
  if (head.startsWith("RIFF") && head.endsWith("WAVE")) return file;
  try {
    const {samples, rate} = await decode(file);
    return wav(samples, rate);
  } catch {
    throw new Error(`The browser cannot decode ${file.name || "this file"}; give another audio file.`);
  }
}

let playing;

// Play a part of a decoded recording, in seconds; ends what plays.
export function play(buffer, start, end) {
  const audio = audioContext();
  audio.resume();
  try { playing?.stop(); } catch { /* it has ended */ }
  playing = audio.createBufferSource();
  playing.buffer = buffer;
  playing.connect(audio.destination);
  playing.start(0, Math.max(0, start), Math.max(0.05, end - start));
}
