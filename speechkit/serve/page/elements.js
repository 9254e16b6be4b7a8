// Elements of the page, made without HTML in texts: what comes from a server stays text.

const SVG = "http://www.w3.org/2000/svg";

export function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

// Score -> {kind, word}: the kind is a colour, the word says the same without one.
export function grade(value, [low, high]) {
  const share = high > low ? (value - low) / (high - low) : 1;
  if (share < 0.5) return {kind: "bad", word: "poor", share};
  return share < 0.8 ? {kind: "fair", word: "fair", share} : {kind: "good", word: "good", share};
}

export function bar(share, kind, label) {
  const fillBar = make("span", {class: `fill ${kind}`});
  fillBar.style.width = `${Math.round(100 * Math.min(1, Math.max(0, share)))}%`;
  return make("span", {class: "bar", role: "img", "aria-label": label}, fillBar);
}

export function table(head, rows, caption) {
  const cells = (row) => row.map((cell, k) => make(k ? "td" : "th", k ? {} : {scope: "row"}, cell));
  return make("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": caption},
    make("table", {}, make("caption", {}, caption),
      make("thead", {}, make("tr", {}, ...head.map((h) => make("th", {scope: "col"}, h)))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells(row))))));
}

// The outline of a recording.
export function wave(samples, label) {
  const columns = 300, size = samples.length / columns;
  let path = "";
  for (let k = 0; k < columns; k++) {
    let most = 0.01;
    const last = Math.min(samples.length, Math.floor((k + 1) * size));
    for (let i = Math.floor(k * size); i < last; i++) most = Math.max(most, Math.abs(samples[i]));
    path += `M${k + 0.5} ${(30 - 28 * most).toFixed(1)}V${(30 + 28 * most).toFixed(1)}`;
  }
  return draw("svg", {class: "wave", viewBox: `0 0 ${columns} 60`, preserveAspectRatio: "none",
    role: "img", "aria-label": label}, draw("path", {d: path}));
}
