"use strict";
// Every text of a record is hostile: it reaches the page as textContent or as an encoded address, never as HTML.

const records = JSON.parse(document.getElementById("records").textContent);
const BATCH = 60; // cards added at a time
const FACETS = {
  status: "Status", fooled: "Fooled", fooled_as_saved: "Fooled as saved", label: "Label", prediction: "Prediction",
  adversarial_prediction: "Adversarial", target: "Target", method: "Method", explained: "Explained", flags: "Note",
};
const NUMBERS = ["probability", "adversarial_probability", "passes", "pulls", "linf", "l2", "eps"];
const METRICS = { spearman: "Spearman", ssim: "SSIM", hog: "HOG" };
const byId = (id) => document.getElementById(id);
const descending = () => byId("down").getAttribute("aria-pressed") === "true";
const descend = (yes) => byId("down").setAttribute("aria-pressed", String(yes));

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null));
  return element;
}

// A file's address relative to this page. The dot keeps "//host" and "javascript:" from being more than names.
function address(file) {
  const whole = file.toWellFormed ? file.toWellFormed() : file;
  return "./" + whole.split("/").map(encodeURIComponent).join("/");
}

function shown(value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.map(shown).join(", ");
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(4)));
}

// A record's values, nested ones by their dotted names: "similarity.grad-cam.ssim".
function flat(value, name = "", into = {}) {
  for (const [key, one] of Object.entries(value)) {
    if (one !== null && typeof one === "object" && !Array.isArray(one)) flat(one, `${name}${key}.`, into);
    else if (one !== null) into[name + key] = one;
  }
  return into;
}

const probability = (value) => (value === undefined ? "" : " " + value.toFixed(2));
const isPicture = (file) => /\.(png|jpe?g|webp|gif|svg)$/i.test(file);
const isPanel = (kind) => kind === "panel" || kind.endsWith(".panel"); // holds all the others once more

function pictures(record) {
  return Object.entries(record.files ?? {}).filter(([kind, file]) => isPicture(file) && !isPanel(kind));
}

function picture([kind, file]) {
  const image = make("img", { alt: kind, loading: "lazy", decoding: "async" });
  image.addEventListener("load", () => image.classList.toggle("small", image.naturalWidth <= 96));
  image.src = address(file);
  const link = make("a", { href: address(file), target: "_blank", rel: "noopener" }, image);
  return make("figure", {}, link, make("figcaption", { textContent: kind.replaceAll(".", " ") }));
}

function strip(record) {
  const all = pictures(record);
  return all.length ? make("div", { className: "strip" }, ...all.map(picture)) : null;
}

function mark(record) {
  if (record.status === "error") return make("span", { className: "mark fooled", textContent: "error" });
  const flags = (record.flags ?? []).map((flag) => flag.replaceAll("-", " "));
  const words = record.fooled === undefined ? flags : [record.fooled ? "fooled" : "held", ...flags];
  return make("span", { className: record.fooled ? "mark fooled" : "mark", textContent: words.join(", ") });
}

function said(record) {
  if (record.status === "error") return make("p", { className: "said", textContent: record.error });
  const line = make("p", { className: "said" });
  if (record.label !== undefined && record.label !== record.prediction) line.append(`${record.label}, taken for `);
  line.append(make("b", { textContent: record.prediction ?? "" }), probability(record.probability));
  if (record.adversarial_prediction !== undefined) {
    const after = make("b", { className: record.fooled ? "fooled" : "", textContent: record.adversarial_prediction });
    line.append(" \u2192 ", after, probability(record.adversarial_probability));
  }
  if (record.target !== undefined) line.append(`, target ${record.target}`);
  if ((record.explained ?? record.prediction) !== record.prediction) line.append(`, explained: ${record.explained}`);
  return line;
}

function figures(record) {
  const parts = [];
  if (record.method !== undefined) parts.push(record.method);
  if (record.layer !== undefined) parts.push(record.layer);
  if (record.passes !== undefined) parts.push(`${shown(record.passes)} ${record.passes === 1 ? "pass" : "passes"}`);
  if (record.linf !== undefined) parts.push(`linf ${shown(Math.round(record.linf * 2550) / 10)}/255`);
  if (record.l2 !== undefined) parts.push(`l2 ${record.l2.toFixed(2)}`);
  const line = make("p", { className: "figures", textContent: parts.join(" \u00b7 ") });
  const others = Object.entries(record.files ?? {}).filter(([kind, file]) => isPanel(kind) || !isPicture(file));
  for (const [kind, file] of others) {
    line.append(line.textContent ? " \u00b7 " : "");
    const name = isPanel(kind) ? kind.replaceAll(".", " ") : kind;
    line.append(make("a", { href: address(file), target: "_blank", rel: "noopener", textContent: name }));
  }
  return line;
}

function alike(record) {
  return Object.entries(record.similarity ?? {}).map(([method, metrics]) => {
    const values = Object.entries(METRICS).filter(([metric]) => typeof metrics[metric] === "number");
    const text = values.map(([metric, name]) => `${name} ${metrics[metric].toFixed(2)}`).join(", ");
    return make("p", { className: "figures", textContent: `${method}: ${text || "undefined"}` });
  });
}

function body(record) {
  const text = make("div", { className: "text" }, figures(record), ...alike(record));
  return make("div", { className: "body" }, strip(record), text);
}

function card(record, place) {
  const name = make("button", { type: "button", textContent: record.path, title: record.path });
  name.addEventListener("click", () => look(place));
  const header = make("header", {}, make("h3", {}, name), mark(record));
  return make("article", { className: "card" }, header, said(record), body(record));
}

const dialog = byId("look");
let looked = 0;

function look(place) {
  const record = matching[place];
  if (record === undefined) return;
  looked = place;
  const facts = Object.entries(flat(record)).filter(([name]) => !name.startsWith("files."));
  const list = facts.flatMap(([name, value]) => [
    make("dt", { textContent: name.replaceAll("_", " ") }), make("dd", { textContent: shown(value) }),
  ]);
  byId("looked").textContent = record.path;
  byId("facts").replaceChildren(said(record), body(record), make("dl", { className: "facts" }, ...list));
  byId("earlier").disabled = place === 0;
  byId("later").disabled = place === matching.length - 1;
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

byId("earlier").addEventListener("click", () => look(looked - 1));
byId("later").addEventListener("click", () => look(looked + 1));
byId("close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") look(looked - 1);
  if (event.key === "ArrowRight") look(looked + 1);
});

const valuesOf = (record, name) => [record[name] ?? []].flat().map(shown);
const haystack = (record) =>
  [record.path, record.label, record.prediction, record.adversarial_prediction, record.error].join("\n").toLowerCase();
const texts = records.map(haystack);
let matching = records;
let shownCount = 0;
const watcher = new IntersectionObserver(([entry]) => entry.isIntersecting && showMore(), { rootMargin: "800px" });

function buildFacets() {
  for (const [name, title] of Object.entries(FACETS)) {
    const counts = new Map();
    const values = records.flatMap((record) => valuesOf(record, name));
    for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
    if (counts.size < (name === "flags" ? 1 : 2)) continue; // nothing to choose from
    const options = [...counts].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
    const select = make("select", { name }, make("option", { value: "", textContent: "all" }));
    // The sign of equality keeps a class without a name from meaning "all".
    for (const [value, count] of options) {
      select.append(make("option", { value: "=" + value, textContent: `${value} (${count.toLocaleString("en")})` }));
    }
    byId("facets").append(make("label", {}, title, select));
  }
}

const nested = (record) => flat({ similarity: record.similarity ?? {}, notes: record.notes ?? {} });

function buildOrders() {
  const found = new Set();
  for (const record of records) {
    for (const name of NUMBERS) if (typeof record[name] === "number") found.add(name);
    for (const name of Object.keys(nested(record))) found.add(name);
  }
  const title = (name) => name.replace(/^(similarity|notes)\./, "").replaceAll("_", " ").replaceAll(".", " ");
  for (const name of ["path", ...found]) byId("order").append(make("option", { value: name, textContent: title(name) }));
}

function compare(name) {
  const keys = new Map(records.map((record) => [record, name.includes(".") ? nested(record)[name] : record[name]]));
  const sign = descending() ? -1 : 1;
  return (a, b) => {
    const [one, other] = [keys.get(a), keys.get(b)];
    if (one === undefined || other === undefined) return (one === undefined) - (other === undefined); // always last
    return sign * (typeof one === "string" ? one.localeCompare(other, "en", { numeric: true }) : one - other);
  };
}

function choose() {
  const needle = byId("text").value.trim().toLowerCase();
  const chosen = [...document.querySelectorAll("#facets select")].filter((select) => select.value !== "");
  for (const control of [...document.querySelectorAll("#facets select"), byId("text")]) {
    control.classList.toggle("set", control.value.trim() !== "");
  }
  const agrees = (record, select) => valuesOf(record, select.name).includes(select.value.slice(1));
  matching = records.filter((record, place) =>
    texts[place].includes(needle) && chosen.every((select) => agrees(record, select)));
  const order = byId("order").value;
  if (order) matching.sort(compare(order));
  else if (descending()) matching.reverse();
  const [some, all] = [matching.length, records.length].map((count) => count.toLocaleString("en"));
  byId("count").textContent = some === all ? `${all} records` : `${some} of ${all} records`;
  byId("gallery").replaceChildren();
  shownCount = 0;
  byId("nothing").hidden = matching.length > 0;
  remember();
  showMore();
}

function showMore() {
  const next = matching.slice(shownCount, shownCount + BATCH);
  byId("gallery").append(...next.map((record, place) => card(record, shownCount + place)));
  shownCount += next.length;
  byId("more").hidden = shownCount >= matching.length;
  watcher.unobserve(byId("more")); // observed afresh it reports at once, should the screen still not be full
  watcher.observe(byId("more"));
}

const controls = () => document.querySelectorAll("#facets select, #text, #order");

// The choice is kept behind the address's #, so that a view can be bookmarked, shared and reloaded.
function remember() {
  const state = new URLSearchParams();
  for (const control of controls()) if (control.value) state.set(control.name, control.value);
  if (descending()) state.set("down", "1");
  history.replaceState(null, "", "#" + state);
}

function recall() {
  const state = new URLSearchParams(location.hash.slice(1));
  for (const control of controls()) {
    const value = state.get(control.name) ?? "";
    control.value = value;
    if (control.value !== value) control.value = ""; // a class that this run does not have
  }
  descend(state.get("down") === "1");
}

function start() {
  buildFacets();
  buildOrders();
  recall();
  const widest = records.reduce((most, record) => Math.max(most, pictures(record).length), 2);
  document.documentElement.style.setProperty("--pictures", widest);
  byId("tools").addEventListener("input", (event) => event.target !== byId("size") && choose());
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  byId("tools").addEventListener("reset", () => setTimeout(() => {
    descend(false);
    document.documentElement.style.removeProperty("--tile");
    choose();
  }));
  byId("size").addEventListener("input", () => {
    document.documentElement.style.setProperty("--tile", `${byId("size").value}px`);
  });
  byId("down").addEventListener("click", () => {
    descend(!descending());
    choose();
  });
  byId("more").addEventListener("click", showMore);
  window.addEventListener("hashchange", () => { recall(); choose(); });
  byId("tools").hidden = false;
  choose();
}

start();
