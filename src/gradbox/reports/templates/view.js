"use strict";
const records = JSON.parse(document.getElementById("records").textContent);
const grid = document.getElementById("grid"), dialog = document.getElementById("one");
const controls = document.getElementById("controls"), field = (name) => controls.elements[name];
const WIDTH = 240, HEIGHT = 232, MARGIN = 2;  // of a cell, in pixels; rows drawn beyond the window
let shown = records, current = 0, columns = 1;
const cells = new Map();  // place in `shown` -> its element: only what is near the window is drawn

// What is asked for

function best(record, name) {
  let score = -1;
  (record.scores || []).forEach((one, i) => {
    if (!name || record.names[i] === name) score = Math.max(score, one);
  });
  return score;
}

function wanted() {
  const value = (name) => field(name).value;
  const name = value("name"), kind = value("kind"), text = value("text").trim().toLowerCase();
  const low = value("low") === "" ? 0 : Number(value("low"));
  const high = value("high") === "" ? 1 : Number(value("high"));
  const all = low <= 0 && high >= 1;  // then images without a score are there, too
  const found = records.filter((record) => {
    const score = best(record, name);
    if (name && score < 0) return false;
    if (kind === "failed" && !("error" in record)) return false;
    if (kind === "boxes" && score < 0) return false;
    if (kind === "none" && ("error" in record || record.boxes.length)) return false;
    if (!all && (score < low || score > high)) return false;
    return !text || record.id.toLowerCase().includes(text);
  });
  const order = value("order");
  if (!order) return found;
  const key = (record) => order === "unsure" ? Math.max(-1, ...(record.sure || [])) : best(record, name);
  const sign = order === "high" ? -1 : 1;
  return found.map((record) => [sign * key(record), record]).sort((a, b) => a[0] - b[0]).map((one) => one[1]);
}

function update() {
  const before = shown[current];
  shown = wanted();
  current = Math.max(0, shown.indexOf(before));
  document.getElementById("count").textContent =
    `${shown.length.toLocaleString("en")} of ${records.length.toLocaleString("en")} images`;
  cells.forEach((cell) => cell.remove());
  cells.clear();
  draw();
}

// What is drawn

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function outlines(record) {
  const space = "http://www.w3.org/2000/svg", name = field("name").value;
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", `0 0 ${record.size[1]} ${record.size[0]}`);
  for (let i = record.boxes.length - 1; i >= 0; i--) {  // the main box on top
    const [xmin, ymin, xmax, ymax] = record.boxes[i], box = document.createElementNS(space, "rect");
    const at = {x: xmin, y: ymin, width: xmax - xmin, height: ymax - ymin};
    for (const [key, value] of Object.entries(at)) box.setAttribute(key, value);
    box.classList.toggle("more", i > 0);
    box.classList.toggle("other", Boolean(name) && record.names[i] !== name);
    svg.append(box);
  }
  return svg;
}

function picture(record, withMap) {
  const made = [];
  if (record.photo) {
    const image = element("img");
    image.src = withMap && record.map ? record.map : record.photo;
    image.alt = record.id;
    image.decoding = "async";
    made.push(image);
    if (record.boxes) made.push(outlines(record));
  }
  const words = record.error || record.why;
  if (words) made.push(element("div", words, record.error ? "words failed" : "words"));
  return made;
}

function said(record, i) {
  const sure = record.sure[i].toFixed(2), score = record.scores[i].toFixed(2);
  return `${record.names[i]} ${sure} · score ${score}`;
}

function cellOf(record, place) {
  const cell = element("figure"), photo = element("div", undefined, "photo");
  cell.id = `cell-${place}`;
  cell.setAttribute("role", "option");
  photo.append(...picture(record, mapsAreOn()));
  const caption = element("figcaption"), more = record.boxes && record.boxes.length - 1;
  caption.append(element("b", record.id));
  if (record.boxes) {
    const main = record.boxes.length ? said(record, 0) : "no box";
    caption.append(element("span", main + (more > 0 ? ` · ${more} more` : "")));
  }
  cell.append(photo, caption);
  cell.title = record.id;
  cell.addEventListener("click", () => { select(place); open(); });
  if (record.map) {
    const show = (withMap) => { cell.querySelector("img").src = withMap ? record.map : record.photo; };
    cell.addEventListener("mouseenter", () => show(!mapsAreOn()));
    cell.addEventListener("mouseleave", () => show(mapsAreOn()));
  }
  return cell;
}

function mapsAreOn() { return Boolean(field("maps") && field("maps").checked); }

function draw() {
  columns = Math.max(1, Math.floor(grid.clientWidth / WIDTH));
  grid.style.height = `${Math.ceil(shown.length / columns) * HEIGHT}px`;
  const top = -grid.getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(top / HEIGHT) - MARGIN) * columns;
  const last = Math.min(shown.length, (Math.ceil((top + innerHeight) / HEIGHT) + MARGIN) * columns);
  cells.forEach((cell, place) => {
    if (place < first || place >= last) { cell.remove(); cells.delete(place); }
  });
  for (let place = first; place < last; place++) {
    let cell = cells.get(place);
    if (!cell) {
      cell = cellOf(shown[place], place);
      cells.set(place, cell);
      grid.append(cell);
    }
    cell.style.left = `${(place % columns) * WIDTH}px`;
    cell.style.top = `${Math.floor(place / columns) * HEIGHT}px`;
    cell.setAttribute("aria-selected", place === current);
  }
  grid.setAttribute("aria-activedescendant", `cell-${current}`);
}

function select(place) {
  current = Math.min(Math.max(place, 0), Math.max(shown.length - 1, 0));
  const row = grid.getBoundingClientRect().top + Math.floor(current / columns) * HEIGHT;
  if (row < 0) scrollBy(0, row - 8);
  if (row + HEIGHT > innerHeight) scrollBy(0, row + HEIGHT - innerHeight + 8);
  draw();
  if (dialog.open) fill();
}

// One image alone

function fill() {
  const record = shown[current];
  dialog.querySelector("h3").textContent = record.id;
  dialog.querySelector(".photo").replaceChildren(...picture(record, mapsAreOn()));
  const rows = (record.boxes || []).map((box, i) => {
    const row = element("tr");
    const numbers = [record.sure[i].toFixed(2), record.scores[i].toFixed(2), ...box.map((edge) => edge.toFixed(0))];
    row.append(...[record.names[i], ...numbers].map((text) => element("td", text)));
    return row;
  });
  dialog.querySelector("table").hidden = !rows.length;
  dialog.querySelector("tbody").replaceChildren(...rows);
  const size = record.size ? `${record.size[1]} × ${record.size[0]} pixels` : "";
  dialog.querySelector("p").textContent = `${size} ${size ? "·" : ""} ${current + 1} of ${shown.length}`;
}

function open() {
  if (!shown.length) return;
  fill();
  if (!dialog.open) dialog.showModal();
}

// Keys

const steps = {
  ArrowLeft: () => -1, ArrowRight: () => 1, ArrowUp: () => -columns, ArrowDown: () => columns,
  PageUp: () => -columns * Math.floor(innerHeight / HEIGHT),
  PageDown: () => columns * Math.floor(innerHeight / HEIGHT),
  Home: () => -current, End: () => shown.length,
};

const keys = {
  Enter: open,
  "/": () => field("text").focus(),
  f: () => { field("kind").value = field("kind").value === "failed" ? "" : "failed"; update(); },
  m: () => { if (field("maps")) { field("maps").checked = !mapsAreOn(); redraw(); } },
};

function redraw() {
  cells.forEach((cell, place) => {
    cell.querySelector(".photo").replaceWith(cellOf(shown[place], place).querySelector(".photo"));
  });
  if (dialog.open) fill();
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (controls.contains(document.activeElement)) {
    if (event.key === "Enter" || event.key === "Escape") grid.focus({preventScroll: true});
    return;
  }
  const act = event.key in steps ? () => select(current + steps[event.key]()) : keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
for (const kind of ["input", "change"]) {  // some that drive a browser send only one
  controls.addEventListener(kind, (event) => event.target.name === "maps" ? redraw() : update());
}
controls.addEventListener("reset", () => setTimeout(update));
controls.addEventListener("submit", (event) => event.preventDefault());

let waiting = false;
function soon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}
addEventListener("scroll", soon, {passive: true});
addEventListener("resize", soon);

const counts = new Map();
for (const record of records) {
  for (const name of new Set(record.names)) counts.set(name, (counts.get(name) || 0) + 1);
}
for (const [name, count] of [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))) {
  const option = element("option", `${name} (${count})`);
  option.value = name;
  field("name").append(option);
}
update();
grid.focus({preventScroll: true});
