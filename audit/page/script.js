// Tables sort and filter. Without this script they are plain tables, and nothing on the page promises otherwise.
"use strict";
(() => {
  const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const value = (cell) => (cell.dataset.v !== undefined ? cell.dataset.v : cell.textContent.trim());

  const compare = (a, b, number, sign) => {
    // What is empty comes last, whichever way the rest runs.
    if (a === "" || b === "") return (a === "") - (b === "");
    return sign * (number ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true }));
  };

  const sortable = (table, say) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      const number = head.classList.contains("number");
      button.addEventListener("click", () => {
        const was = head.getAttribute("aria-sort");
        const now = was ? (was === "ascending" ? "descending" : "ascending") : number ? "descending" : "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", now);
        const sign = now === "ascending" ? 1 : -1;
        const keyed = [...table.tBodies[0].rows].map((row) => [value(row.cells[at]), row]);
        keyed.sort((one, other) => compare(one[0], other[0], number, sign));
        table.tBodies[0].append(...keyed.map((pair) => pair[1]));
        say(`sorted by ${button.textContent}, ${now}`);
      });
    });
  };

  const filterable = (box, table, say) => {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 8) return;
    const texts = new Map(rows.map((row) => [row, fold([...row.cells].map((cell) => cell.textContent).join(" "))]));
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.type = "search";
    input.autocomplete = "off";
    const name = document.createElement("span");
    name.textContent = "Filter";
    label.append(name, input);
    box.prepend(label);
    let waiting = 0;
    const apply = () => {
      const words = fold(input.value).split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row) => {
        const fits = words.every((word) => texts.get(row).includes(word));
        row.hidden = !fits;
        shown += fits;
      });
      say(`${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} rows`);
    };
    input.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(apply, 80);
    });
  };

  document.querySelectorAll("div.table").forEach((whole) => {
    const table = whole.querySelector("table");
    const box = document.createElement("div");
    box.className = "controls";
    const output = document.createElement("output");
    box.append(output);
    const say = (words) => { output.textContent = words; };
    sortable(table, say);
    filterable(box, table, say);
    whole.querySelector(".scroll").before(box);
  });
  // On paper everything is open.
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
})();
