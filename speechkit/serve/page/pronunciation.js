// What was found in a recording that was read: scores, words and phones, curves.
import {bar, draw, grade, make, table} from "./elements.js";
import {play} from "./audio.js";

const STATUS = {"omission": "left out", "substitution": "replaced", "said badly": "said badly"};
const NAMES = {total: "total", accuracy: "accuracy", completeness: "completeness",
  fluency: "fluency", prosodic: "rhythm and melody", stress: "stress"};

export function show(found, buffer) {
  const parts = [];
  if (!found.matches) {
    parts.push(make("p", {class: "notice bad"},
      "The text is probably not what was said: these scores mean little."));
  }
  parts.push(summary(found), words(found, buffer), legend(found), curves(found),
    make("details", {}, make("summary", {}, "All numbers"), numbers(found)));
  return parts;
}

function summary(found) {
  const order = Object.keys(NAMES).filter((name) => name in found.utterance);
  return make("dl", {class: "scores"}, ...order.map((name) => {
    const value = found.utterance[name], ends = found.scales.utterance[name];
    const {kind, word, share} = grade(value, ends);
    return make("div", {class: name === "total" ? "main" : ""}, make("dt", {}, NAMES[name]),
      make("dd", {}, make("b", {}, value.toFixed(1)), ` of ${ends[1]} `,
        make("span", {class: `tag ${kind}`}, word), bar(share, kind, `${NAMES[name]}: ${word}`)));
  }));
}

function mainScore(word, found) {
  const name = ["total", "accuracy"].find((each) => each in word && found.scales.word?.[each]);
  return name && {value: word[name], ends: found.scales.word[name]};
}

function words(found, buffer) {
  const cards = found.words.map((word) => ({at: word.start, card: wordCard(word, found, buffer)}));
  for (const added of found.insertions ?? []) {
    cards.push({at: added.start - 0.001, card: make("li", {class: "word"},
      make("button", {class: "say bad", title: "Listen",
        onclick: () => play(buffer, added.start, added.end)},
      make("span", {class: "name"}, "+"), make("span", {class: "tag bad"}, "added")),
      make("span", {class: "heard"}, `heard ${added.phones.join(" ")}`))});
  }
  cards.sort((a, b) => a.at - b.at);
  return make("ol", {class: "words", "aria-label": "Words"}, ...cards.map(({card}) => card));
}

function wordCard(word, found, buffer) {
  const main = mainScore(word, found);
  const given = main ? grade(main.value, main.ends) : {kind: "none", word: ""};
  const status = STATUS[word.status];
  const kind = status && word.status !== "said badly" ? "bad" : given.kind;
  const score = main ? `${main.value.toFixed(1)} ${given.word}` : "";
  const gone = word.status === "omission";
  const stress = word.stress === undefined ? undefined :
    make("span", {class: "stress"}, `stress ${word.stress.toFixed(1)}`);
  return make("li", {class: "word"},
    make("button", {class: `say ${kind}${gone ? " gone" : ""}`,
      title: `Listen to ${word.word.toLowerCase()}`,
      onclick: () => play(buffer, word.start - 0.03, word.end + 0.05)},
    make("span", {class: "name"}, word.word.toLowerCase()),
    make("span", {class: `tag ${kind}`}, status ?? score)),
    gone ? undefined : stress,
    make("ol", {class: "phones", "aria-label": `Phones of ${word.word.toLowerCase()}`},
      ...word.phones.map((phone) => phoneChip(phone, found, gone))));
}

function phoneChip(phone, found, gone) {
  const ends = found.scales.phone?.accuracy;
  const value = phone.accuracy;
  const known = value !== undefined && ends;
  const {kind, word} = known ? grade(value, ends) : {kind: "none", word: ""};
  let heard;
  if (phone.suspect && !gone) {
    if (phone.heard === null) heard = "left out";
    else if (phone.heard && phone.heard_probability >= 0.5) heard = `like ${phone.heard}`;
    else heard = "unclear";
  }
  return make("li", {class: `phone ${kind}`, title: word},
    make("span", {class: "sound"}, phone.phone),
    known ? make("span", {class: "value"}, value.toFixed(1)) : undefined,
    heard && make("span", {class: "heard"}, heard));
}

function legend(found) {
  const high = (level) => Object.values(found.scales[level] ?? {})[0]?.[1];
  return make("p", {class: "legend"},
    make("span", {class: "tag bad"}, "poor"), " lower half of the scale, ",
    make("span", {class: "tag fair"}, "fair"), " to 80 %, ",
    make("span", {class: "tag good"}, "good"), ` above. Words to ${high("word")}, phones to ` +
    `${high("phone")}; "like" says what was heard instead. Press a word to listen.`);
}

// Pitch and energy over time, above the words.
function curves(found) {
  const {pitch_hz: pitch, energy_db: energy} = found.curves;
  const room = document.querySelector("#pronunciation .result").clientWidth - 20;
  const width = Math.max(340, Math.min(room, 900), Math.round(150 * found.seconds)), x = (s) => 44 + (width - 60) * s / found.seconds;
  const heard = pitch.values.filter((value) => value !== null);
  const low = heard.length ? Math.min(...heard) * 0.9 : 75, high = heard.length ? Math.max(...heard) * 1.1 : 300;
  const yPitch = (hz) => 20 + 110 * (1 - Math.log(hz / low) / Math.log(high / low));
  const loud = Math.max(...energy.values), floor = Math.max(loud - 60, Math.min(...energy.values) - 1);
  const yEnergy = (db) => 160 + 60 * (1 - (Math.max(db, floor) - floor) / (loud - floor));
  const spans = found.words.filter((word) => word.status !== "omission");
  const text = (at, y, value, kind) => draw("text", {x: at, y, class: kind}, value);
  let area = `M${x(energy.start)} 220`;
  energy.values.forEach((db, k) => { area += `L${x(energy.start + k * energy.step).toFixed(1)} ${yEnergy(db).toFixed(1)}`; });
  area += `L${x(energy.start + (energy.values.length - 1) * energy.step)} 220Z`;
  let line = "", before = false;
  pitch.values.forEach((hz, k) => {
    if (hz !== null) line += `${before ? "L" : "M"}${x(pitch.start + k * pitch.step).toFixed(1)} ${yPitch(hz).toFixed(1)}`;
    before = hz !== null;
  });
  const svg = draw("svg", {width, height: 262, viewBox: `0 0 ${width} 262`, class: "curves", role: "img",
    "aria-label": heard.length ? `Pitch from ${Math.round(Math.min(...heard))} to ${Math.round(Math.max(...heard))} hertz, and energy, over ${found.seconds.toFixed(1)} seconds` : "Energy over time; no pitch was found"},
  ...spans.map((word, k) => draw("rect", {x: x(word.start), y: 8, width: x(word.end) - x(word.start), height: 216, class: k % 2 ? "span odd" : "span"})),
  draw("path", {d: area, class: "energy"}), draw("path", {d: line, class: "pitch"}),
  text(4, 18, "pitch", "label"), text(4, 154, "energy", "label"),
  ...(heard.length ? [text(4, 36, `${Math.round(high)} Hz`, "tick"), text(4, 130, `${Math.round(low)} Hz`, "tick")] : []),
  text(4, 172, `${Math.round(loud)} dB`, "tick"), text(4, 220, `${Math.round(floor)} dB`, "tick"),
  ...spans.map((word, k) => {
    const at = draw("text", {x: (x(word.start) + x(word.end)) / 2, y: 238 + 15 * (k % 2), class: "tick middle"}, word.word.toLowerCase());
    return at;
  }));
  return make("figure", {}, make("figcaption", {}, "Pitch (line) and energy (area) of each word"),
    make("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Pitch and energy"}, svg));
}

function numbers(found) {
  const scores = Object.keys(found.scales.word ?? {});
  const rows = found.words.map((word) => [word.word.toLowerCase(),
    `${word.start.toFixed(2)} to ${word.end.toFixed(2)}`,
    ...scores.map((name) => word[name]?.toFixed(1) ?? "-"), word.status ?? "-",
    word.pronunciation === "guessed" ? "guessed" : "in the lexicon",
    word.phones.map((phone) => `${phone.phone} ${phone.accuracy?.toFixed(1) ?? ""}`).join("  ")]);
  const read = (found.readings ?? []).map((each) => make("p", {}, `${each.written} was read as: ${each.said}.`));
  return make("div", {}, table(["word", "seconds", ...scores, "status", "pronunciation", "phones"], rows,
    "Scores of words and phones"), ...read);
}
