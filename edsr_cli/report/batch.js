
// The page of edsr batch --report: a pair of pictures opens in a viewer, and the list of files can
// be searched, filtered and sorted.

{
  const element = document.querySelector("dialog");
  if (element) {
    const dialog = new Dialog(element);
    for (const pair of document.querySelectorAll(".pair:has(img)")) {
      const name = pair.closest("figure").querySelector(".path").textContent;
      const [before, after] = pair.querySelectorAll("img");
      const open = () => {
        const versions = [before, after].map((each) => new Version({ label: each.alt, uri: each.src }));
        const [width, height] = [after.naturalWidth, after.naturalHeight];
        dialog.open({ name, width, height, border: 0, versions }, 0, 1);
      };
      pair.role = "button";
      pair.tabIndex = 0;
      pair.ariaLabel = `${name}: compare ${before.alt} and ${after.alt}`;
      pair.addEventListener("click", open);
      pair.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        open();
      });
    }
  }

  const list = document.querySelector("#files table");
  if (list) {
    const body = list.tBodies[0];
    const pixels = (cell) => cell.textContent.split("×").reduce((product, side) => product * side, 1);
    const rows = [...body.rows].map((row) => {
      const [name, state, reason, before, after, time] = row.cells;
      return {
        row, name: name.textContent, state: state.textContent, reason: reason.textContent,
        before: pixels(before), after: pixels(after), time: Number(time.dataset.seconds ?? 0),
        folded: name.textContent.toLowerCase(),
      };
    });
    const [search, state, reason] = document.querySelectorAll("#files .filters :is(input, select)");
    const count = document.querySelector("#files .filters output");
    for (const [select, key] of [[state, "state"], [reason, "reason"]]) {
      const found = [...new Set(rows.map((each) => each[key]))].filter(Boolean).sort();
      select.append(...found.map((each) => new Option(each, each)));
    }
    const filter = () => {
      const wanted = search.value.toLowerCase();
      let shown = 0;
      for (const each of rows) {
        const fits = each.folded.includes(wanted)
          && (!state.value || each.state === state.value)
          && (!reason.value || each.reason === reason.value);
        each.row.hidden = !fits;
        shown += fits;
      }
      count.value = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")}`;
    };
    for (const each of [search, state, reason]) each.addEventListener("input", filter);

    const keys = ["name", "state", "reason", "before", "after", "time"];
    [...list.tHead.rows[0].cells].forEach((cell, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = cell.textContent;
      cell.replaceChildren(button);
      button.addEventListener("click", () => {
        const key = keys[column];
        // Numbers from the largest on first, names from A on.
        const rising = cell.ariaSort ? cell.ariaSort === "descending" : column < 3;
        for (const other of list.tHead.rows[0].cells) other.ariaSort = null;
        cell.ariaSort = rising ? "ascending" : "descending";
        const order = column < 3
          ? (a, b) => (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0)
          : (a, b) => a[key] - b[key];
        rows.sort((a, b) => (rising ? order(a, b) : order(b, a)));
        body.append(...rows.map((each) => each.row));
      });
    });
    filter();
  }
  document.documentElement.classList.add("scripted");
}
