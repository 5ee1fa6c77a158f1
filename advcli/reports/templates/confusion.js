const MOST_CLASSES = 24; // in a matrix; beyond, the most frequent pairs are listed
const CLASSES = withRole("class");

// What each label was taken for, among the results that are chosen.
function confusion() {
  const fold = byId("confusion");
  const known = records.filter((record) => record.label !== undefined && record.label_source !== "predicted");
  fold.hidden = !known.length || !CLASSES.length;
  if (fold.hidden || !fold.open) return;
  const select = make("select", {}, ...CLASSES.map((name) => make("option", { value: name, textContent: titleOf(name) })));
  select.value = fold.dataset.field ?? CLASSES.at(-1);
  select.addEventListener("change", () => { fold.dataset.field = select.value; confusion(); });
  const chosen = matching.flat().filter((record) => record.label !== undefined && record.label_source !== "predicted");
  // The clean prediction is the same under every case of a model: count each item once.
  const once = VARYING.has(select.value) ? chosen : grouped(chosen).map(([record]) => record);
  const rows = once.filter((record) => record[select.value] !== undefined);
  const note = `${rows.length.toLocaleString("en")} chosen results; rows: label, columns: ${titleOf(select.value)}`;
  const head = make("p", { className: "figures" }, select, ` ${note}`);
  byId("matrix").replaceChildren(head, counted(rows, select.value));
}

function counted(rows, name) {
  const counts = new Map();
  for (const record of rows) {
    const key = JSON.stringify([record.label, record[name]]);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const order = (a, b) => a.localeCompare(b, "en", { numeric: true });
  const classes = [...new Set(rows.flatMap((record) => [record.label, record[name]]))].sort(order);
  return classes.length > MOST_CLASSES ? pairs(counts) : matrix(counts, classes);
}

function pairs(counts) {
  const most = [...counts].map(([key, count]) => [...JSON.parse(key), count]).filter(([label, said]) => label !== said);
  most.sort((a, b) => b[2] - a[2]);
  const rows = most.slice(0, 30).map(([label, taken, count]) => make("tr", {},
    make("th", { scope: "row", textContent: `${label} \u2192 ${taken}` }), make("td", { textContent: number(count) })));
  return make("table", { className: "figures-table" }, make("tbody", {}, ...rows));
}

function matrix(counts, classes) {
  const head = make("tr", {}, make("td"), ...classes.map((name) =>
    make("th", { scope: "col", title: name }, make("span", { textContent: name }))));
  const rows = classes.map((label) => {
    const row = classes.map((name) => counts.get(JSON.stringify([label, name])) ?? 0);
    const sum = row.reduce((one, other) => one + other, 0);
    return make("tr", {}, make("th", { scope: "row", textContent: label }), ...row.map((count, place) => {
      const cell = make("td", { textContent: count ? number(count) : "", className: classes[place] === label ? "right" : "" });
      cell.style.setProperty("--share", sum ? Math.round((100 * count) / sum) : 0);
      cell.title = `${label}, taken for ${classes[place]}: ${count}`;
      return cell;
    }));
  });
  return make("div", { className: "scroll" }, make("table", { className: "matrix" }, make("thead", {}, head), make("tbody", {}, ...rows)));
}

byId("confusion").addEventListener("toggle", confusion);
