"use strict";
const board = document.getElementById("board");
const rows = Array.from(board.children);
const control = (id) => document.getElementById(id);
const collator = new Intl.Collator(undefined, { numeric: true });
const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
const place = "thalbids qc " + dataset + " " + location.pathname;
let ratings = {};
let current = null;

try {
  const stored = JSON.parse(localStorage.getItem(place) || "{}");
  ratings = stored.ratings || {};
  control("rater").value = stored.rater || "";
} catch {
  control("unsaved").hidden = false;
}

function save() {
  try {
    localStorage.setItem(place, JSON.stringify({ rater: control("rater").value, ratings }));
  } catch {
    control("unsaved").hidden = false;
  }
}

function draw(row) {
  const { rating = "", note = "" } = ratings[row.dataset.scan] || {};
  row.dataset.rating = rating;
  for (const button of row.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.value === rating));
  }
  row.querySelector("input").value = note;
}

function change(row, values) {
  const scan = row.dataset.scan;
  const date = new Date().toISOString().slice(0, 19);
  ratings[scan] = { ...ratings[scan], ...values, rater: control("rater").value.trim(), date };
  if (!ratings[scan].rating && !ratings[scan].note) delete ratings[scan];
  save();
  draw(row);
  count();
}

function shown() {
  return Array.from(board.children).filter((row) => !row.hidden);
}

function count() {
  const rated = rows.filter((row) => row.dataset.rating).length;
  const visible = rows.filter((row) => !row.hidden).length;
  control("count").textContent = `${rated} of ${rows.length} rated, ${visible} shown`;
}

function select(row) {
  if (!row) return;
  if (current) current.classList.remove("current");
  current = row;
  row.classList.add("current");
  row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function step(by) {
  let row = current && current.isConnected ? current : null;
  if (!row) return select(shown()[0]);
  do row = by > 0 ? row.nextElementSibling : row.previousElementSibling; while (row && row.hidden);
  select(row);
}

function rate(row, rating) {
  change(row, { rating });
  if (rating) {
    select(row);
    step(1);
  }
}

function sort() {
  const by = control("sort").value;
  const key = (row) => (by === "scan" ? row.dataset.scan : Number(row.dataset[by]));
  const last = (value) => Number.isNaN(value);
  rows.sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (by === "scan") return collator.compare(x, y);
    return last(x) - last(y) || x - y || a.dataset.place - b.dataset.place;
  });
  board.append(...rows);
}

function filter() {
  const words = control("filter").value.toLowerCase().split(/\s+/);
  const show = control("show").value;
  for (const row of rows) {
    const { rating = "", flagged } = row.dataset;
    const kept =
      show === "" ||
      (show === "flagged" ? flagged !== undefined : show === "unrated" ? !rating : rating === show);
    row.hidden = !kept || !words.every((word) => texts.get(row).includes(word));
  }
  count();
}

// Entries are in one line of a table; spreadsheets must not take them for formulas.
const entry = (text) => String(text || "").replace(/\s+/g, " ").trim().replace(/^[=+@-]+/, "") || "n/a";

function table() {
  const header = ["participant_id", "session_id", "scan", "method", "rating", "note", "rater", "date"];
  const lines = rows
    .filter((row) => ratings[row.dataset.scan])
    .sort((a, b) => collator.compare(a.dataset.scan, b.dataset.scan))
    .map(({ dataset: { participant, session, scan, method } }) => {
      const { rating, note, rater, date } = ratings[scan];
      const by = rater || control("rater").value;
      return [participant, session, scan, method, rating, note, by, date].map(entry).join("\t");
    });
  return [header.join("\t"), ...lines].join("\n") + "\n";
}

control("export").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([table()], { type: "text/tab-separated-values" }));
  link.download = "qc.tsv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});

board.addEventListener("click", (event) => {
  const row = event.target.closest("li");
  if (!row || event.target.closest("a")) return;
  const button = event.target.closest("button");
  if (button) rate(row, button.value);
  else if (!event.target.closest("input")) select(row);
});
board.addEventListener("change", (event) => {
  change(event.target.closest("li"), { note: event.target.value });
});

const ratingOfKey = { p: "pass", f: "fail", a: "artifact", u: "" };
document.addEventListener("keydown", (event) => {
  const row = event.target.closest("#board li");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select")) {
    if (row && (event.key === "Enter" || event.key === "Escape")) {
      event.preventDefault();
      event.target.blur();
      select(row);
    }
    return;
  }
  if (event.key === "ArrowDown") step(1);
  else if (event.key === "ArrowUp") step(-1);
  else if (current && !current.hidden && event.key in ratingOfKey) rate(current, ratingOfKey[event.key]);
  else if (current && event.key === "n") current.querySelector("input").focus();
  else return;
  event.preventDefault();
});

control("rater").addEventListener("change", save);
control("sort").addEventListener("change", sort);
for (const id of ["filter", "show"]) control(id).addEventListener("input", filter);
rows.forEach(draw);
filter();
select(shown()[0]);
