/* Moves through the grid, shows a cell's evidence, filters.  Data becomes text nodes only, never markup. */
"use strict";
(async () => {
  const packed = Uint8Array.from(atob(document.getElementById("data").textContent), (sign) => sign.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const data = JSON.parse(await new Response(unpacked).text());
  const say = (number) => data.strings[number];
  const grid = document.getElementById("grid");
  const panel = document.getElementById("panel");
  const pane = document.getElementById("pane");
  const heads = [...grid.tHead.querySelectorAll("th.head")]; // what they show was made fit to be shown; data's names are raw
  const rows = [...grid.querySelectorAll("tr.case[data-row]")];
  const folds = [...grid.querySelectorAll("tr.fold button")]; // each stands for the rows of its kin
  const cells = rows.map((row) => [...row.querySelectorAll("td")]);
  let current = null; // { row, column } of the cell that the Tab key reaches
  let quiet = false; // focus that must not open the panel

  const make = (tag, text, name) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (name) node.className = name;
    return node;
  };
  const add = (parent, ...nodes) => (parent.append(...nodes), parent);
  const cellId = (row, column) => `${data.cases[row]}@${data.heads[column]}`;
  const place = (cell) => {
    const row = Number(cell.parentNode.dataset.row);
    return { row, column: cells[row].indexOf(cell) };
  };

  const address = (hash) => {
    try { history.replaceState(null, "", hash || location.pathname + location.search); } catch { /* a sandboxed frame */ }
  };

  /* The panel */

  const factList = (facts) => {
    const list = make("dl");
    for (const [label, value] of facts) add(list, make("dt", say(label)), make("dd", say(value)));
    return list;
  };

  const when = (start, end, at) => {
    const cell = make("td", undefined, "when");
    add(cell, make("span", `${start} –`), make("span", end));
    if (at && at < start) add(cell, make("b", "not yet valid"));
    if (at && at > end) add(cell, make("b", "expired"));
    return cell;
  };

  const certificates = (title, list, at, empty) => {
    const part = make("section");
    add(part, make("h3", title));
    if (!list.length) return add(part, make("p", empty, "quiet"));
    const table = add(make("table", undefined, "certs"), make("tbody"));
    list.forEach((numbers, index) => {
      const [name, subject, issuer, key, start, end, digest] = numbers.map(say);
      const about = add(make("td"), make("b", name), make("span", subject));
      add(about, make("span", subject === issuer ? "self-issued" : `by ${issuer}`, "by"));
      add(about, make("code", `${key}, sha256 ${digest.slice(0, 16)}…`));
      const row = add(make("tr"), make("th", String(index + 1)), about, when(start, end, at));
      table.tBodies[0].append(row);
    });
    return add(part, table);
  };

  const command = (text) => {
    const line = make("div", undefined, "command");
    const copy = make("button", "copy");
    copy.type = "button";
    copy.addEventListener("click", () => {
      const done = (word) => () => { copy.textContent = word; };
      const select = () => getSelection().selectAllChildren(line.firstChild);
      if (!navigator.clipboard) return select();
      navigator.clipboard.writeText(text).then(done("copied"), select);
    });
    return add(line, make("code", text), copy);
  };

  const fill = ({ row, column }) => {
    const facts = data.rows[row];
    const cell = cells[row][column];
    const top = make("header");
    const close = make("button", "×", "close");
    close.type = "button";
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", hide);
    const sign = cell.querySelector(".s").cloneNode(true);
    const said = [cell.querySelector(".vh").textContent, cell.querySelector(".w").textContent];
    const outcome = add(make("p", undefined, `outcome ${cell.className}`), sign);
    outcome.classList.remove("on", "dim");
    add(outcome, make("span", said.filter(Boolean).join(" · ")));
    add(top, make("p", cell.closest("tbody").querySelector(".slug").textContent, "quiet"), close);
    add(top, make("h2", heads[column].title), make("p", rows[row].querySelector(".name").textContent, "name"));
    add(top, outcome, make("p", facts.at ? `at ${facts.at}` : "", "quiet"));
    panel.replaceChildren(top);
    const recorded = facts.cells[column];
    if (!recorded) {
      add(panel, make("p", "This cell was not run: the ledger has no record of it.", "quiet"));
    } else {
      for (const [title, list] of recorded[0]) {
        if (list.length) add(panel, add(make("section"), make("h3", say(title)), factList(list)));
      }
    }
    if (facts.known) {
      add(panel, certificates("Chain, as sent", facts.chain, facts.at, "empty"));
      add(panel, certificates("Trust store", facts.store, facts.at, "empty: nothing is trusted"));
      if (facts.device) {
        add(panel, certificates("Given to the device", facts.device, facts.at, "nothing"));
        add(panel, certificates("Trusted for devices", facts.devices, facts.at, "empty: nothing is trusted"));
      }
    }
    if (recorded) {
      add(panel, add(make("section"), make("h3", "Again"), ...recorded[1].map((number) => command(say(number)))));
    }
    panel.scrollTop = 0;
  };

  const show = (where) => {
    grid.querySelector("td.on")?.classList.remove("on");
    cells[where.row][where.column].classList.add("on");
    fill(where);
    panel.hidden = false;
    document.documentElement.classList.add("open");
    const hash = `#${encodeURIComponent(cellId(where.row, where.column))}`;
    if (location.hash !== hash) address(hash);
  };

  function hide() {
    panel.hidden = true;
    document.documentElement.classList.remove("open");
    grid.querySelector("td.on")?.classList.remove("on");
    address("");
    if (current) {
      quiet = true;
      cells[current.row][current.column].focus();
      quiet = false;
    }
  }

  /* Moving */

  const reach = (where) => {
    if (current) cells[current.row][current.column].tabIndex = -1;
    current = where;
    cells[where.row][where.column].tabIndex = 0;
  };

  const reveal = (cell) => {
    const box = pane.getBoundingClientRect();
    const corner = grid.querySelector(".corner").getBoundingClientRect();
    const at = cell.getBoundingClientRect();
    if (at.left < box.left + corner.width) pane.scrollLeft -= box.left + corner.width - at.left + 8;
    else if (at.right > box.right) pane.scrollLeft += at.right - box.right + 16;
    if (at.top < box.top + corner.height) pane.scrollTop -= box.top + corner.height - at.top + 32;
    else if (at.bottom > box.bottom) pane.scrollTop += at.bottom - box.bottom + 24;
  };

  const go = (where) => {
    const cell = cells[where.row][where.column];
    cell.focus({ preventScroll: true });
    reveal(cell);
  };

  const visible = (row, column) => !rows[row].hidden && !cells[row][column].hidden;
  const step = (from, down, right) => {
    let { row, column } = from;
    for (;;) {
      row += down;
      column += right;
      if (row < 0 || column < 0 || row >= rows.length || column >= data.heads.length) return null;
      if (visible(row, column)) return { row, column };
    }
  };
  const furthest = (from, down, right) => {
    let at = from;
    for (let next = at; next; next = step(at, down, right)) at = next;
    return at;
  };
  const moves = {
    ArrowUp: (at) => step(at, -1, 0),
    ArrowDown: (at) => step(at, 1, 0),
    ArrowLeft: (at) => step(at, 0, -1),
    ArrowRight: (at) => step(at, 0, 1),
    Home: (at, far) => furthest(far ? furthest(at, -1, 0) : at, 0, -1),
    End: (at, far) => furthest(far ? furthest(at, 1, 0) : at, 0, 1),
  };

  grid.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td[role=gridcell]");
    if (!cell || event.altKey || event.metaKey) return;
    const at = place(cell);
    if (event.key === "Enter" || event.key === " ") show(at);
    else if (moves[event.key]) {
      const next = moves[event.key](at, event.ctrlKey);
      if (next) go(next);
    } else return;
    event.preventDefault();
  });
  grid.addEventListener("focusin", (event) => {
    const cell = event.target.closest("td[role=gridcell]");
    if (!cell) return;
    reach(place(cell));
    if (!quiet) show(current);
  });
  grid.addEventListener("click", (event) => {
    const cell = event.target.closest("td[role=gridcell]");
    if (cell) show(place(cell));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !panel.hidden) hide();
  });

  /* Filters: columns by name, rows and cells by verdict */

  const buttons = [...document.querySelectorAll("button.filter")];
  const find = document.getElementById("find");
  const filter = () => {
    const kinds = buttons.filter((one) => one.getAttribute("aria-pressed") === "true").map((one) => one.dataset.kind);
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = data.heads.map((name) => words.every((word) => name.toLowerCase().includes(word)));
    for (const line of grid.querySelectorAll("thead tr, tr.case, tr.fold, tr.tally")) {
      kept.forEach((keep, column) => { line.cells[column + 1].hidden = !keep; });
    }
    rows.forEach((row, index) => {
      const hit = cells[index].map((cell, column) =>
        kept[column] && (!kinds.length || kinds.some((kind) => cell.classList.contains(kind))));
      const closed = row.dataset.kin && folds[row.dataset.kin - 1].getAttribute("aria-expanded") === "false";
      row.hidden = kinds.length ? !hit.some(Boolean) : Boolean(closed) && !row.dataset.news;
      cells[index].forEach((cell, column) => cell.classList.toggle("dim", !hit[column]));
    });
    for (const row of grid.querySelectorAll("tr.fold, tr.borrowed")) row.hidden = kinds.length > 0;
    for (const body of grid.tBodies) body.hidden = [...body.querySelectorAll("tr.case, tr.fold")].every((row) => row.hidden);
    const at = current && visible(current.row, current.column) ? current : null;
    if (!at) {
      const row = rows.findIndex((one) => !one.hidden);
      const column = kept.indexOf(true);
      if (row >= 0 && column >= 0) reach({ row, column });
    }
  };
  for (const fold of folds) {
    fold.addEventListener("click", () => {
      fold.setAttribute("aria-expanded", String(fold.getAttribute("aria-expanded") !== "true"));
      filter();
    });
  }
  for (const button of buttons) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      filter();
    });
  }
  find.addEventListener("input", filter);
  addEventListener("beforeprint", () => { document.querySelector("details").open = true; });

  /* An address with a cell in it */

  const follow = () => {
    let wanted = "";
    try { wanted = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    if (!wanted) return;
    for (let row = 0; row < rows.length; row += 1) {
      const column = data.heads.findIndex((_, index) => cellId(row, index) === wanted);
      if (column < 0) continue;
      if (!visible(row, column)) {
        for (const button of buttons) button.setAttribute("aria-pressed", "false");
        find.value = "";
        const { kin } = rows[row].dataset;
        if (kin) folds[kin - 1].setAttribute("aria-expanded", "true");
        filter();
      }
      show({ row, column }); // the panel takes its room before the cell is scrolled into what is left
      pane.scrollIntoView({ block: "start" });
      go({ row, column });
      return;
    }
  };
  addEventListener("hashchange", follow);

  document.documentElement.classList.add("live");
  pane.style.setProperty("--first", `${grid.querySelector(".corner").offsetWidth}px`);
  if (rows.length && data.heads.length) reach({ row: 0, column: 0 });
  follow();
})();
