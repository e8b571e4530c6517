"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const collator = new Intl.Collator(undefined, { numeric: true });

  function compare(a, b, sign) {
    if (a === b) return 0;
    if (a === "") return 1;
    if (b === "") return -1;
    return sign * (typeof a === "number" ? a - b : collator.compare(a, b));
  }

  function key(row, column) {
    const cell = row.cells[column];
    const value = cell.dataset.value;
    if (value === undefined) return cell.textContent === "n/a" ? "" : cell.textContent;
    return value === "" ? "" : Number(value);
  }

  table.tHead.addEventListener("click", (event) => {
    const heading = event.target.closest("th");
    if (!heading) return;
    const ascending = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const keyed = rows.map((row) => [key(row, heading.cellIndex), row]);
    keyed.sort((a, b) => compare(a[0], b[0], ascending ? 1 : -1));
    body.append(...keyed.map((pair) => pair[1]));
  });

  const filter = document.getElementById("filter");
  const output = document.querySelector("output[for=filter]");
  const labels = (row) => Array.from(row.cells).filter((cell) => cell.dataset.value === undefined);
  const texts = rows.map((row) => labels(row).map((cell) => cell.textContent).join(" ").toLowerCase());
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    let shown = 0;
    rows.forEach((row, i) => {
      row.hidden = !words.every((word) => texts[i].includes(word));
      shown += !row.hidden;
    });
    output.textContent = shown + " of " + rows.length + " rows";
  });
}
