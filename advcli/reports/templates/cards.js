const MOST_ROWS = 6; // cases shown in a card; all are in the dialog

function picture(kind, file) {
  const image = make("img", { alt: kind, loading: "lazy", decoding: "async" });
  image.addEventListener("load", () => image.classList.toggle("small", image.naturalWidth <= 96));
  image.src = address(file);
  const link = make("a", { href: address(file), target: "_blank", rel: "noopener" }, image);
  return make("figure", {}, link, make("figcaption", { textContent: kind.replaceAll(".", " ") }));
}

function strip(record, { original }) {
  const all = pictures(record);
  if (original && record.original !== undefined) all.unshift(["original", record.original]);
  return all.length ? make("div", { className: "strip" }, ...all.map((one) => picture(...one))) : null;
}

// What the picture is and what the network takes it for: "is cat · taken for cat 0.98".
function said(record, names) {
  const line = make("p", { className: "said" });
  for (const name of names) {
    const value = record[name];
    if (value === undefined || isGuess(record, name)) continue;
    const { role, title } = byName.get(name);
    if (role === "probability") {
      line.append(` ${value.toFixed(2)}`);
      continue;
    }
    const wrong = role === "class" && record.label !== undefined && value !== record.label;
    const text = make("b", { className: wrong ? "wrong" : "", textContent: value });
    line.append(line.childNodes.length ? " \u00b7 " : "", `${title} `, text);
  }
  return line.childNodes.length ? line : null;
}

// The figures that the terminal's table shows, and small tables of figures such as similarities.
function figures(record) {
  const parts = fields
    .filter(({ name, role, terminal }) => terminal && !SAID.includes(name) && !["identity", "flag"].includes(role))
    .filter(({ name }) => record[name] !== undefined && name !== "flags")
    .map((field) => `${field.title} ${valueOf(record, field)}`);
  const line = make("p", { className: "figures", textContent: parts.join(" \u00b7 ") });
  const others = Object.entries(record.files ?? {}).filter(([kind, file]) => isPanel(kind) || !isPicture(file));
  for (const [kind, file] of others) {
    line.append(line.textContent ? " \u00b7 " : "");
    line.append(make("a", { href: address(file), target: "_blank", rel: "noopener", textContent: kind }));
  }
  return line.childNodes.length ? line : null;
}

function nestedFigures(record) {
  const lines = [];
  for (const name of withRole("list")) {
    const value = record[name];
    if (value === undefined || Array.isArray(value) || typeof value !== "object") continue;
    for (const [key, one] of Object.entries(value)) {
      lines.push(make("p", { className: "figures", textContent: `${words(key)}: ${valueOf({ [name]: one }, byName.get(name))}` }));
    }
  }
  return lines;
}

function mark(group) {
  const flag = FLAGS.find((name) => group.some((record) => typeof record[name] === "boolean"));
  const failed = group.filter((record) => record.status === "error").length;
  const notes = [...new Set(group.flatMap((record) => record.flags ?? []))].map((text) => text.replaceAll("-", " "));
  if (failed === group.length) return make("span", { className: "mark wrong", textContent: "error" });
  if (flag === undefined) return make("span", { className: "mark", textContent: notes.join(", ") });
  const yes = group.filter((record) => record[flag] === true).length;
  const share = group.length > 1 ? ` ${yes} of ${group.length}` : "";
  const text = yes ? titleOf(flag) + share : `not ${titleOf(flag)}`;
  return make("span", { className: yes ? "mark wrong" : "mark", textContent: [text, ...notes].join(", ") });
}

// One case of an item: a row of its pictures, its id, what changed, its figures.
function caseRow(record, group) {
  const text = make("div", { className: "text" });
  if (severalCases && record.case !== undefined) {
    const name = make("button", { type: "button", className: "case", textContent: record.case, title: record.case });
    name.addEventListener("click", () => look(group, record.case));
    text.append(name);
  }
  if (record.status === "error") text.append(make("p", { className: "said", textContent: record.error }));
  else if (record.status !== "ok" && record.status !== undefined) {
    text.append(make("p", { className: "said", textContent: record.status.replaceAll("-", " ") }));
  }
  const line = said(record, SAID.filter((name) => VARYING.has(name)));
  for (const part of [line, figures(record), ...nestedFigures(record)]) if (part !== null) text.append(part);
  return make("div", { className: "row" }, strip(record, { original: group.length === 1 }), text);
}

function card(group) {
  const [record] = group;
  const name = make("a", { href: linkTo(record.item), textContent: record.item, title: record.item });
  name.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    look(group);
  });
  const element = make("article", { className: "card" }, make("header", {}, make("h3", {}, name), mark(group)));
  const line = said(record, SAID.filter((one) => !VARYING.has(one)));
  const original = group.length > 1 && record.original !== undefined ? picture("original", record.original) : null;
  if (original !== null) element.append(make("div", { className: "strip item" }, original, line));
  else if (line !== null) element.append(line);
  element.append(...group.slice(0, MOST_ROWS).map((one) => caseRow(one, group)));
  if (group.length > MOST_ROWS) {
    const rest = make("button", { type: "button", className: "rest", textContent: `${group.length - MOST_ROWS} more` });
    rest.addEventListener("click", () => look(group, group[MOST_ROWS].case));
    element.append(rest);
  }
  return element;
}

// Records without pictures: a plain table.
const columns = fields.filter(({ name, role }) => role !== "picture" && (severalCases || name !== "case") &&
  records.some((record) => record[name] !== undefined));
const isWordy = ({ name }) => records.some((record) => record[name] !== undefined && typeof record[name] !== "number");

function table(rows) {
  const head = make("tr", {}, ...columns.map((field) =>
    make("th", { scope: "col", textContent: field.title, className: isWordy(field) ? "wordy" : "" })));
  return make("table", { className: "figures-table" }, make("thead", {}, head), make("tbody", {}, ...rows.map(tableRow)));
}

function tableRow(record) {
  return make("tr", {}, ...columns.map((field, place) => {
    const value = record[field.name];
    const text = value === undefined ? "\u2013" : valueOf(record, field);
    if (place) {
      const cell = make("td", { textContent: text, className: isWordy(field) ? "wordy" : "" });
      cell.dataset.title = field.title;
      return cell;
    }
    const name = make("a", { href: linkTo(record.item), textContent: text });
    return make("th", { scope: "row" }, name);
  }));
}
