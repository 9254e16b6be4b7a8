// Tabs, inputs, and the way from a recording to what is shown.
import {asWav, audioContext, decode, record} from "./audio.js";
import {make} from "./elements.js";
import {emotions, sources} from "./others.js";
import {show} from "./pronunciation.js";

const SENTENCES = [
  "We call it bear", "She sells sea shells by the sea shore", "The weather is better than yesterday",
  "I would like a cup of coffee, please", "Three thin thieves thought of the thing",
  "Could you tell me the way to the station", "The photograph was taken by a photographer",
  "He really ran around the rural road", "What a beautiful morning it is",
];
const TASKS = ["pronunciation", "separation", "emotion"];
let about;

function say(task, text, kind = "") {
  const place = document.querySelector(`#${task} .status`);
  place.className = `status ${kind}`;
  place.textContent = text;
}

// --- tabs ---

function choose(task, focus = false) {
  for (const each of TASKS) {
    const tab = document.getElementById(`tab-${each}`), chosen = each === task;
    tab.setAttribute("aria-selected", chosen);
    tab.tabIndex = chosen ? 0 : -1;
    document.getElementById(each).hidden = !chosen;
    if (chosen && focus) tab.focus();
  }
}

function tabs() {
  const list = document.querySelector("[role=tablist]");
  TASKS.forEach((task) => document.getElementById(`tab-${task}`)
    .addEventListener("click", () => { choose(task); history.replaceState(null, "", `#${task}`); }));
  list.addEventListener("keydown", (event) => {
    const at = TASKS.findIndex((task) => event.target.id === `tab-${task}`);
    const to = {ArrowRight: at + 1, ArrowLeft: at + 2, Home: 0, End: 2}[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(TASKS[to % 3], true);
  });
  if (TASKS.includes(location.hash.slice(1))) choose(location.hash.slice(1));
}

// --- a recording: spoken or dropped ---

function input(task) {
  const place = document.querySelector(`#${task} .input`);
  if (!about.models[task].ready) {
    place.replaceChildren(make("p", {class: "notice"}, "No model of this task is served yet. This makes a small one from a folder of recordings, and serves it:"),
      make("pre", {tabindex: "0"}, make("code", {}, about.models[task].command)));
    return;
  }
  const label = make("span", {}, "Record");
  const level = make("span", {class: "level", "aria-hidden": "true"}, make("span", {}));
  const button = make("button", {class: "record", type: "button", "aria-pressed": "false"},
    make("span", {class: "dot", "aria-hidden": "true"}), label);
  const file = make("input", {type: "file", accept: "audio/*,video/webm,video/mp4,.wav,.flac", id: `file-${task}`});
  const drop = make("label", {class: "drop", for: `file-${task}`}, "Or choose or drop a file", file);
  const player = make("audio", {controls: "", hidden: "", "aria-label": "Your recording"});
  const again = make("button", {type: "button", class: "again", hidden: ""}, task === "pronunciation" ? "Score again" : "Once more");
  place.replaceChildren(make("div", {class: "row middle"}, button, level, drop), make("div", {class: "row middle"}, player, again));
  let running, last, starting = false;

  const use = async (blob) => {
    last = blob;
    if (player.src) URL.revokeObjectURL(player.src);
    player.src = URL.createObjectURL(blob);
    player.hidden = again.hidden = false;
    await ask(task, blob);
  };
  const guarded = (action) => async (...given) => {
    try { await action(...given); } catch (error) { say(task, error.message, "notice bad"); }
  };
  const stop = async () => {
    const {stop: end} = running;
    running = undefined;
    button.setAttribute("aria-pressed", "false");
    label.textContent = "Record";
    level.firstChild.style.width = "0";
    await use(end());
  };
  button.addEventListener("click", guarded(async () => {
    if (running) return stop();
    if (starting) return;
    starting = true;  // not disabled, which would take the focus away
    try { running = await record(); } finally { starting = false; }
    button.setAttribute("aria-pressed", "true");
    say(task, task === "pronunciation" ? "Recording: read the sentence, then press Stop." : "Recording.");
    const tick = () => {
      if (!running) return;
      label.textContent = `Stop (${running.seconds().toFixed(1)} s)`;
      level.firstChild.style.width = `${Math.min(100, 140 * Math.sqrt(running.level()))}%`;
      if (running.seconds() > about.max_seconds - 0.5) guarded(stop)();
      else requestAnimationFrame(tick);
    };
    tick();
  }));
  const take = guarded(async (chosen) => {
    if (chosen) { say(task, "Reading the file ..."); await use(await asWav(chosen)); }
  });
  file.addEventListener("change", () => { take(file.files[0]); file.value = ""; });
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
  again.addEventListener("click", guarded(() => ask(task, last)));
}

// --- the server ---

async function ask(task, blob) {
  const result = document.querySelector(`#${task} .result`);
  const form = new FormData();
  if (task === "pronunciation") {
    const text = document.getElementById("text").value.trim();
    if (!text) throw new Error("Type what is read first.");
    form.set("text", text);
    form.set("ipa", document.getElementById("ipa").checked);
  }
  if (blob.size > 1e6 * about.max_megabytes) throw new Error(`The recording is larger than ${about.max_megabytes} MB; use a shorter one.`);
  form.set("audio", blob, "recording.wav");
  say(task, "Listening ...");
  result.setAttribute("aria-busy", "true");
  try {
    const begun = performance.now();
    const found = await answer(`v1/${task}`, form);
    result.replaceChildren(...await shown(task, found, blob));
    say(task, `Done in ${((performance.now() - begun) / 1000).toFixed(2)} s.`);
    result.dataset.ready = "true";
  } catch (error) {
    result.replaceChildren();
    throw error;
  } finally {
    result.removeAttribute("aria-busy");
  }
}

async function answer(path, form) {
  let response;
  try {
    response = await fetch(path, {method: "POST", body: form});
  } catch {
    throw new Error("The server cannot be reached. Is it still running?");
  }
  const found = await response.json();
  if (!response.ok) throw new Error(`${found.error} ${found.remedy}`.trim());
  return found;
}

async function shown(task, found, blob) {
  if (task === "pronunciation") return show(found, (await decode(blob)).buffer);
  return task === "separation" ? sources(found) : emotions(found);
}

async function begin() {
  tabs();
  const text = document.getElementById("text"), list = document.getElementById("sentences");
  list.append(...SENTENCES.map((sentence) => make("option", {}, sentence)));
  text.value = SENTENCES[0];
  list.addEventListener("change", () => { text.value = list.value; });
  try {
    about = await (await fetch("v1/models")).json();
  } catch {
    TASKS.forEach((task) => say(task, "The server cannot be reached. Is it still running?", "notice bad"));
    return;
  }
  document.getElementById("version").textContent = `speechkit ${about.version}.`;
  TASKS.forEach(input);
  audioContext();
  document.body.dataset.ready = "true";
}

begin();
