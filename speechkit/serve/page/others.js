// Speakers of a mixture, and emotions over time.
import {bar, draw, make, table, wave} from "./elements.js";
import {decode} from "./audio.js";

const kept = [];  // addresses of the players, given back before the next result

export async function sources(found) {
  kept.splice(0).forEach((url) => URL.revokeObjectURL(url));
  return Promise.all(found.sources.map(async ({name, wav}) => {
    const bytes = Uint8Array.from(atob(wav), (letter) => letter.charCodeAt(0));
    const blob = new Blob([bytes], {type: "audio/wav"});
    const url = URL.createObjectURL(blob);
    kept.push(url);
    const {samples} = await decode(blob);
    return make("div", {class: "card source"}, make("h3", {}, name), wave(samples, `Outline of ${name}`),
      make("audio", {controls: "", src: url, "aria-label": name}),
      make("a", {href: url, download: `${name.replace(" ", "_")}.wav`}, "Save as WAV"));
  }));
}

const percent = (share) => `${Math.round(100 * share)} %`;

export function emotions(found) {
  if (found.silent) return [make("p", {class: "notice"}, "The recording is silent; it gets no label.")];
  const classes = Object.keys(found.probabilities)
    .sort((a, b) => found.probabilities[b] - found.probabilities[a]);
  const whole = make("dl", {class: "scores emotions"}, ...classes.map((name, k) => make("div",
    {class: k ? "" : "main"}, make("dt", {}, name), make("dd", {},
      make("b", {}, percent(found.probabilities[name])),
      bar(found.probabilities[name], "plain", `${name}: ${percent(found.probabilities[name])}`)))));
  const parts = [make("p", {class: "verdict"}, "Most likely: ", make("b", {}, found.label)), whole];
  if (found.windows.length > 1) parts.push(timeline(found, classes));
  parts.push(make("details", {}, make("summary", {}, "All numbers"), table(
    ["seconds", "label", ...classes], found.windows.map((w) => [
      `${w.start.toFixed(1)} to ${w.end.toFixed(1)}`, w.label ?? "silent",
      ...classes.map((name) => w.probabilities ? percent(w.probabilities[name]) : "-")]),
    "Probabilities over time")));
  return parts;
}

// Rows of classes, columns of windows; the likeliest of each has its percentage.
function timeline(found, classes) {
  const cell = 46, left = 96, width = left + cell * found.windows.length + 8, height = 26 * classes.length + 34;
  const svg = draw("svg", {width, height, viewBox: `0 0 ${width} ${height}`, class: "timeline", role: "img",
    "aria-label": "Emotions over time: " + found.windows.map((w) => `${w.start.toFixed(0)} s ${w.label ?? "silent"}`).join(", ")},
  ...classes.map((name, k) => draw("text", {x: 4, y: 26 * k + 18, class: "label"}, name)),
  ...found.windows.flatMap((w, column) => [
    draw("text", {x: left + cell * column, y: height - 12, class: "tick"}, `${w.start.toFixed(0)} s`),
    ...classes.map((name, k) => {
      const share = w.probabilities?.[name] ?? 0, best = w.label === name;
      const box = draw("rect", {x: left + cell * column, y: 26 * k + 2, width: cell - 3, height: 23, rx: 4,
        class: best ? "cell best" : "cell"});
      box.style.fillOpacity = (0.06 + 0.6 * share).toFixed(3);
      return draw("g", {}, box, ...(best ? [draw("text", {x: left + cell * column + (cell - 3) / 2, y: 26 * k + 18, class: "tick middle"}, percent(share))] : []));
    })]));
  return make("figure", {}, make("figcaption", {}, "Over time: the darker, the likelier; outlined is the likeliest"),
    make("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Emotions over time"}, svg));
}
